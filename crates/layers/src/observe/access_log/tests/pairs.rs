use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_endpoint::{
    BoxError, Conn, Info, Origin, RelayName, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{CloseReason, DialFor, Pair, Policy, dial_for_a};
use couplet_relay::Relay;
use futures::StreamExt;
use tokio::{io::AsyncWriteExt, task::JoinHandle};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::{Records, knock, meeting, turns};
use crate::{
    Forwarded, HandshakeLayer, Identity, TransformLayer, map_bytes,
    observe::access_log::{AccessLogLayer, Counted, End, SideAccessLogLayer},
    testing::{conn, read_some},
};

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_pair_has_both_legs() {
    let records = Records::default();
    let (place_a, place_b, mut pairs) = meeting();
    let side_a = SideAccessLogLayer::new(records.log(), Side::A)
        .layer(HandshakeLayer::new(knock).layer(place_a));
    let side_b = SideAccessLogLayer::new(records.log(), Side::B).layer(place_b);
    let (mut a, a_io) = memory::connection(64);
    let (mut b, b_io) = memory::connection(64);
    a.write_all(b"!hello").await.unwrap();
    side_a.clone().oneshot(conn(a_io)).await.unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    side_b.clone().oneshot(conn(b_io)).await.unwrap();
    let Ok(pair) = pairs.next().await.unwrap();

    let layer = AccessLogLayer::new(records.log());
    let transform = TransformLayer::new().a_to_b(|| {
        map_bytes(|bytes| {
            bytes
                .iter()
                .flat_map(|&byte| [byte, byte])
                .collect::<Vec<_>>()
        })
    });
    let relaying: JoinHandle<_> =
        tokio::spawn(layer.layer(transform.layer(Relay::new())).oneshot(pair));
    assert_eq!(read_some(&mut b, 10).await, b"hheelllloo");
    b.write_all(b"so?").await.unwrap();
    read_some(&mut a, 10).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    drop((a, b));
    relaying.await.unwrap().unwrap();

    let record = records.one();
    assert_eq!(record.end, End::Pair(CloseReason::Finished(Side::A)));
    assert_eq!((record.a_to_b, record.b_to_a), (10, 3));
    assert_eq!(record.duration, Duration::from_secs(2));
    let (a, b) = (record.leg(Side::A).unwrap(), record.leg(Side::B).unwrap());
    assert_eq!((a.received, a.sent), (Some(6), Some(10)));
    assert_eq!((b.received, b.sent), (Some(3), Some(10)));
    assert_eq!(a.identity.as_ref().unwrap().name(), "al\u{1b}ice");
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!((a.handshake, a.waiting), (seconds(1), seconds(3)));
    assert_eq!((b.handshake, b.waiting), (seconds(0), seconds(0)));
    assert_eq!(
        record.to_string(),
        format!(
            "2026-11-23T09:15:02.000123Z AF session={} duration=2.000000 a_to_b=10 b_to_a=3 \
             a=10.0.0.1:4711 a_origin=accepted a_identity=\"al\\u{{1b}}ice\" a_handshake=1.000000 \
             a_waiting=3.000000 a_received=6 a_sent=10 b_origin=accepted b_handshake=0.000000 \
             b_waiting=0.000000 b_received=3 b_sent=10 reason=\"finished, A first\"",
            record.session.unwrap()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_dialled_partner_has_its_target() {
    let records = Records::default();
    let partner = SideAccessLogLayer::new(records.log(), Side::B).layer(service_fn(
        async |conn: Conn<Counted<MemoryStream>>| {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok::<_, BoxError>(conn)
        },
    ));
    let far = Arc::new(Mutex::new(Vec::new()));
    let peers = Arc::clone(&far);
    let dial = service_fn(move |_: Info| {
        let (peer, io) = memory::connection(64);
        peers.lock().unwrap().push(peer);
        partner.clone().oneshot(Conn::new(io, Origin::Dialled))
    });
    let (service, mut pairs): (DialFor<Counted<MemoryStream>, _, _, _>, _) =
        dial_for_a(Policy::default(), dial);
    let side = SideAccessLogLayer::new(records.log(), Side::A).layer(service);
    let (_peer, io) = memory::connection(64);
    let dialling = tokio::spawn(side.oneshot(conn(io)));
    let Ok(pair) = pairs.next().await.unwrap();
    dialling.await.unwrap().unwrap();
    let inner = service_fn(async |pair| {
        drop::<Pair<_, _>>(pair);
        Ok::<_, BoxError>(())
    });
    AccessLogLayer::new(records.log())
        .layer(inner)
        .oneshot(pair)
        .await
        .unwrap();
    let record = records.one();
    let (a, b) = (record.a.unwrap(), record.b.unwrap());
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!((a.handshake, a.waiting), (seconds(0), seconds(2)));
    assert_eq!((b.handshake, b.waiting), (seconds(2), seconds(0)));
    assert_eq!(b.origin, Origin::Dialled);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn spliced_bytes_are_counted() {
    use couplet_endpoint::Io;
    use tokio::{io::AsyncReadExt, net::UnixStream};

    use crate::testing::read_all;

    let records = Records::default();
    let counted = async |side| {
        let (peer, io) = UnixStream::pair().unwrap();
        let layer = SideAccessLogLayer::new(records.log(), side);
        let back = layer.layer(service_fn(async |conn: Conn<Counted<UnixStream>>| {
            assert!(conn.io.splice_source().is_some() && conn.io.splice_sink().is_some());
            Ok::<_, BoxError>(conn)
        }));
        (peer, back.oneshot(conn(io)).await.unwrap())
    };
    let (mut a, a_conn) = counted(Side::A).await;
    let (mut b, b_conn) = counted(Side::B).await;
    let relaying = AccessLogLayer::new(records.log()).layer(Relay::new());
    let relaying = tokio::spawn(relaying.oneshot(Pair::new(a_conn, b_conn)));
    const MUCH: usize = 8 * 1024 * 1024;
    let sending = tokio::spawn(async move {
        a.write_all(&vec![b'x'; MUCH]).await.unwrap();
        a.shutdown().await.unwrap();
        read_all(&mut a).await
    });
    let mut heard = Vec::new();
    b.read_to_end(&mut heard).await.unwrap();
    drop(b);
    sending.await.unwrap().1.unwrap();
    relaying.await.unwrap().unwrap();
    let record = records.one();
    let much = Some(MUCH as u64);
    assert_eq!(
        (record.a.unwrap().received, record.b.unwrap().sent),
        (much, much)
    );
    assert_eq!(record.a_to_b, MUCH as u64);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_node_has_that_nodes_name_and_the_time_since_it_came_there() {
    let records = Records::default();
    let (_a, a_io) = memory::connection(64);
    let (_b, b_io) = memory::connection(64);
    let (mut a, b) = (conn(a_io), conn(b_io));
    a.info.extensions.insert(Forwarded::new("no\u{1b}de", None));
    a.info.extensions.insert(Identity::new("alice"));
    tokio::time::advance(Duration::from_secs(3)).await;
    let inner = service_fn(async |pair| {
        drop::<Pair<_, _>>(pair);
        Ok::<_, BoxError>(())
    });
    let layer = AccessLogLayer::new(records.log()).layer(inner);
    layer.oneshot(Pair::new(a, b)).await.unwrap();
    let record = records.one();
    let leg = record.leg(Side::A).unwrap();
    assert_eq!(leg.node.as_ref().unwrap().node(), "no\u{1b}de");
    assert_eq!(leg.waiting, Some(Duration::from_secs(3)));
    let text = record.to_string();
    let written = " a_identity=\"alice\" a_node=\"no\\u{1b}de\" a_waiting=3.000000 ";
    assert!(text.contains(written), "{text}");
    assert!(!text.contains("b_node"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_goes_on_has_a_record_each_time() {
    let records = Records::default();
    let layer = AccessLogLayer::new(records.log()).every(Some(Duration::from_secs(300)));
    let (mut a, a_io) = memory::connection(64);
    let (mut b, b_io) = memory::connection(64);
    let relaying = layer
        .layer(Relay::new())
        .oneshot(Pair::new(conn(a_io), conn(b_io)));
    let relaying = tokio::spawn(RelayName::new("x").scope(relaying));
    a.write_all(b"hello").await.unwrap();
    read_some(&mut b, 5).await;
    tokio::time::advance(Duration::from_secs(299)).await;
    turns().await;
    assert!(records.take().is_empty());
    for (number, minutes) in [(1, 5), (2, 10)] {
        tokio::time::advance(Duration::from_secs(1)).await;
        turns().await;
        let record = records.one();
        assert_eq!(record.end, End::Live);
        assert_eq!(record.duration, Duration::from_secs(60 * minutes));
        assert_eq!(record.a_to_b, 5 * number);
        let line = record.to_string();
        let begin = format!(" -- relay=x session={} duration=", record.session.unwrap());
        assert!(line.contains(&begin), "{line}");
        a.write_all(b"again").await.unwrap();
        read_some(&mut b, 5).await;
        tokio::time::advance(Duration::from_secs(299)).await;
        turns().await;
    }
    // A clock that jumps makes up for no records.
    tokio::time::advance(Duration::from_secs(3600)).await;
    turns().await;
    assert_eq!(records.one().end, End::Live);
    drop((a, b));
    relaying.await.unwrap().unwrap();
    let record = records.one();
    assert_eq!(record.end, End::Pair(CloseReason::Finished(Side::A)));
    assert_eq!(record.relay, RelayName::new("x"));
}
