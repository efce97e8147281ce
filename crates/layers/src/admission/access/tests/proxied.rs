//! Below a PROXY protocol header, the client's own address is what counts.

use couplet_endpoint::{Conn, memory};
use tokio::io::AsyncWriteExt;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{
    AccessLayer, AccessList, ConnLimitLayer, HandshakeLayer,
    handshake::proxy_protocol::ExpectProxyHeader,
    testing::{chain, conn},
};

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
