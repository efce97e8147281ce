//! Above other layers of a side: what they see is the client's own address.

use std::sync::{Arc, Mutex};

use couplet_layers::{
    AccessLayer, AccessList, AccessLog, ConnLimitLayer, RefusalCause, SideAccessLogLayer,
};
use tower::{Service, ServiceBuilder};

use super::*;

#[tokio::test]
async fn the_clients_own_address_counts() {
    let proxy = [10, 0, 0, 1];
    let list = AccessList::new().allow("203.0.113.0/24".parse().unwrap());
    let mut service = ServiceBuilder::new()
        .layer(HandshakeLayer::new(ExpectProxyHeader::required(
            "10.0.0.0/8".parse().unwrap(),
        )))
        .layer(AccessLayer::new(list))
        .layer(ConnLimitLayer::per_address(1))
        .service(service_fn(async |conn: Conn<_>| {
            Ok::<_, std::convert::Infallible>(conn)
        }));
    let mut open = Vec::new();
    for (client, refused) in [
        ("203.0.113.7", None),
        ("203.0.113.8", None),
        (
            "203.0.113.7",
            Some("connection over the limit of 1 open connections of one address"),
        ),
        (
            "10.0.0.1",
            Some("access refused: address not on the allow list"),
        ),
    ] {
        let (mut peer, io) = memory::connection(128);
        let header = format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\n");
        peer.write_all(header.as_bytes()).await.unwrap();
        let mut conn = conn(io);
        conn.info.peer = Some((proxy, 4711).into());
        let outcome = service.ready().await.unwrap().call(conn).await;
        let error = outcome.map(|conn| open.push(conn)).err();
        let error = error.map(|error| chain(&*error));
        assert_eq!(error.as_deref(), refused, "{client}");
    }
}

#[tokio::test]
async fn the_client_behind_a_proxy_is_logged_though_refused() {
    let records = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let records = Arc::clone(&records);
        AccessLog::new(move |record| records.lock().unwrap().push(record.clone()))
    };
    let no = async |_: Conn<_>| Err::<Conn<MemoryStream>, _>("not today");
    let place = service_fn(async |_: Conn<MemoryStream>| Ok::<_, Infallible>(()));
    let side = ServiceBuilder::new()
        .layer(SideAccessLogLayer::new(log, Side::A))
        .layer(HandshakeLayer::new(required()))
        .layer(HandshakeLayer::new(no))
        .service(place);
    let (mut peer, io) = memory::connection(64);
    peer.write_all(V1).await.unwrap();
    side.oneshot(from(io, "10.0.0.1:1000")).await.unwrap_err();
    let records = std::mem::take(&mut *records.lock().unwrap());
    let [record] = records.try_into().expect("one record");
    assert_eq!(record.end.termination_state(), "aR");
    assert_eq!(record.a.unwrap().peer, Some(addr("192.0.2.1:51234")));
}

#[tokio::test]
async fn a_health_check_counts_as_one() {
    let place = service_fn(async |_: Conn<Replay<MemoryStream>>| Ok::<_, Infallible>(()));
    let side = HandshakeLayer::new(required()).layer(place);
    for (sent, cause) in [
        (v2(0x20, 0, &[]), RefusalCause::HealthCheck),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            RefusalCause::ProxyHeader,
        ),
    ] {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(&sent).await.unwrap();
        drop(peer);
        let refused = side.clone().oneshot(from(io, "10.0.0.1:1000")).await;
        assert_eq!(RefusalCause::of(&*refused.unwrap_err()), cause);
    }
}
