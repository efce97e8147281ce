//! The observers of a connection hear of its life.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod helper;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_endpoint::{Conn, ConnEvent, ConnId, Info, Side, memory::MemoryStream};
use couplet_pairing::{
    CloseReason, Keyed, Policy, Refusal, dial_for_a, rendezvous, rendezvous_keyed,
};
use helper::{conn, next, settle};
use tower::{Service, ServiceExt, service_fn};

/// What was heard, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(ConnId, ConnEvent)>>>);

impl Heard {
    /// A connection that is observed, and its peer.
    fn conn(&self) -> (Conn<MemoryStream>, MemoryStream) {
        let (mut conn, peer) = conn();
        let heard = Arc::clone(&self.0);
        conn.info
            .observe(move |info: &Info, event| heard.lock().unwrap().push((info.id, event)));
        (conn, peer)
    }

    fn take(&self) -> Vec<(ConnId, ConnEvent)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn the_observer_of_a_waiting_connection_hears_its_life() {
    let policy = Policy::default().wait(Some(Duration::from_secs(10)));
    let (mut a, mut b, mut pairs) = rendezvous(policy);
    let heard = Heard::default();
    let (joins, _joins_peer) = heard.conn();
    let (dies, dies_peer) = heard.conn();
    let (expires, _expires_peer) = heard.conn();
    let ids = [joins.info.id, dies.info.id, expires.info.id];
    for conn in [joins, dies, expires] {
        a.ready().await.unwrap().call(conn).await.unwrap();
    }
    assert_eq!(heard.take(), ids.map(|id| (id, ConnEvent::Waits)));

    let (partner, _partner_peer) = conn();
    let partner_id = partner.info.id;
    b.ready().await.unwrap().call(partner).await.unwrap();
    let pair = next(&mut pairs).await;
    assert_eq!(heard.take(), [(ids[0], ConnEvent::Joined(partner_id))]);

    drop(dies_peer);
    settle().await;
    assert_eq!(heard.take(), [(ids[1], ConnEvent::Gone)]);
    tokio::time::advance(Duration::from_secs(10)).await;
    settle().await;
    let expired = ConnEvent::Refused(Refusal::Expired);
    assert_eq!(heard.take(), [(ids[2], expired)]);

    // A byte of either side is heard of once.
    for (from, bytes) in [(Side::B, 0), (Side::B, 3), (Side::A, 1), (Side::B, 1)] {
        pair.session.meter().add(from, bytes);
    }
    pair.session.end(CloseReason::Reset(Side::A));
    drop(pair);
    let events = [
        ConnEvent::FirstByte(Side::B),
        ConnEvent::FirstByte(Side::A),
        ConnEvent::Ended(CloseReason::Reset(Side::A)),
    ];
    assert_eq!(heard.take(), events.map(|event| (ids[0], event)));
}

#[tokio::test]
async fn the_observer_of_a_dialled_partner_hears_its_life() {
    let heard = Heard::default();
    let dialled = heard.clone();
    let dial = service_fn(move |_: Info| {
        let (conn, _) = dialled.conn();
        async { Ok::<_, std::io::Error>(conn) }
    });
    let (mut service, mut pairs) = dial_for_a(Policy::default(), dial);
    let (a, _peer) = heard.conn();
    let id = a.info.id;
    let joining = tokio::spawn(service.ready().await.unwrap().call(a));
    assert_eq!(heard.take(), [(id, ConnEvent::Waits)]);
    let pair = next(&mut pairs).await;
    joining.await.unwrap().unwrap();
    let partner = pair.session.info(Side::B).id;
    drop(pair);
    let ended = ConnEvent::Ended(CloseReason::Refused);
    let expected = [
        (id, ConnEvent::Joined(partner)),
        (partner, ConnEvent::Joined(id)),
        (id, ended),
        (partner, ended),
    ];
    assert_eq!(heard.take(), expected);
}

#[tokio::test]
async fn an_observer_hears_of_a_refusal() {
    let heard = Heard::default();
    let (mut place, _pairs) = rendezvous_keyed(Policy::default(), Keyed::new(|_| None::<u32>));
    let (refused, _peer) = heard.conn();
    let id = refused.info.id;
    place.ready().await.unwrap().call(refused).await.unwrap();
    settle().await;
    let refused = ConnEvent::Refused(Refusal::UnknownKey);
    assert_eq!(heard.take(), [(id, ConnEvent::Waits), (id, refused)]);
}
