use std::{io, time::Duration};

use couplet_endpoint::{
    Conn, Info, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{DialFor, Policy, dial_for_b};
use tokio::io::AsyncWriteExt;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::{Records, knock, meeting, turns};
use crate::{
    HandshakeLayer,
    observe::access_log::{Counted, End, SideAccessLogLayer, Unjoined},
    testing::conn,
};

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_joined_has_an_entry() {
    let records = Records::default();
    let (place, _place_b, pairs) = meeting();
    let side = SideAccessLogLayer::new(records.log(), Side::A).layer(
        HandshakeLayer::new(knock)
            .timeout(Some(Duration::from_secs(10)))
            .layer(place),
    );
    let comes = async |knocks: &[u8]| {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(knocks).await.unwrap();
        (side.clone().oneshot(conn(io)).await, peer)
    };

    let (refused, _peer) = comes(b"?").await;
    refused.unwrap_err();
    let record = records.one();
    assert_eq!(record.end, End::Unjoined(Side::A, Unjoined::Refused));
    let leg = record.a.as_ref().unwrap();
    assert_eq!((leg.received, leg.handshake), (Some(1), None));
    assert!(record.b.is_none() && record.session.is_none());
    assert_eq!(
        record.to_string(),
        "2026-11-23T09:15:02.000123Z aR duration=0.000000 a_origin=accepted a_received=1 a_sent=0 \
         reason=\"refused\" error=\"handshake failed: no\\u{9b}\""
    );

    let (silent, _peer) = comes(b"").await;
    silent.unwrap_err();
    let record = records.one();
    assert_eq!(record.end.termination_state(), "aR");
    assert_eq!(record.duration, Duration::from_secs(10));

    let (waits, peer) = comes(b"!").await;
    waits.unwrap();
    turns().await;
    drop(peer);
    turns().await;
    let record = records.one();
    assert_eq!(record.end.termination_state(), "aG");
    let leg = record.a.as_ref().unwrap();
    assert_eq!(leg.identity.as_ref().unwrap().name(), "al\u{1b}ice");
    assert_eq!(leg.peer, Some(([10, 0, 0, 1], 4711).into()));

    let (waits, _peer) = comes(b"!").await;
    waits.unwrap();
    turns().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    turns().await;
    let record = records.one();
    assert_eq!(record.end.termination_state(), "aE");
    let leg = record.a.as_ref().unwrap();
    assert_eq!(leg.waiting, Some(Duration::from_secs(60)));

    let (waits, _peer) = comes(b"!").await;
    waits.unwrap();
    turns().await;
    drop(pairs);
    turns().await;
    assert_eq!(records.one().end.termination_state(), "aS");
    // Nor is one that comes then.
    let (late, _peer) = comes(b"!").await;
    late.unwrap_err();
    assert_eq!(records.one().end.termination_state(), "aS");

    let (_peer, io) = memory::connection(64);
    let mut call = tokio_test::task::spawn(side.clone().oneshot(conn(io)));
    tokio_test::assert_pending!(call.poll());
    drop(call);
    assert_eq!(records.one().end.termination_state(), "aS");
}

#[tokio::test]
async fn the_entry_of_a_failed_dial_has_the_reason() {
    let records = Records::default();
    let dial = service_fn(async |_: Info| Err::<Conn<MemoryStream>, _>(io::Error::other("nobody")));
    let (service, _pairs): (DialFor<Counted<MemoryStream>, _, _, _>, _) =
        dial_for_b(Policy::default(), dial);
    let side = SideAccessLogLayer::new(records.log(), Side::B).layer(service);
    side.oneshot(conn(memory::connection(64).1))
        .await
        .unwrap_err();
    let record = records.one();
    assert_eq!(record.end.termination_state(), "bP");
    assert_eq!(record.error.unwrap(), "partner not reached: nobody");
}

#[tokio::test]
async fn bytes_written_in_slices_are_counted() {
    let records = Records::default();
    let service = service_fn(async |mut conn: Conn<Counted<MemoryStream>>| {
        let slices = [b"ab", b"cd"].map(|slice| io::IoSlice::new(slice));
        let sent = conn.io.write_vectored(&slices).await?;
        Err::<(), _>(io::Error::other(sent.to_string()))
    });
    let side = SideAccessLogLayer::new(records.log(), Side::A).layer(service);
    let (_peer, io) = memory::connection(64);
    let sent = side.oneshot(conn(io)).await.unwrap_err().to_string();
    assert_ne!(sent, "0");
    let counted = records.one().a.unwrap().sent.unwrap();
    assert_eq!(counted.to_string(), sent);
}
