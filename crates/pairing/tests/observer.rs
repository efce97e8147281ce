//! Who wants to know how a connection waits is told.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod helper;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_endpoint::{Conn, ConnId, Info, memory::MemoryStream};
use couplet_pairing::{
    Keyed, Policy, Refusal, WaitEvent, WaitObserver, dial_for_a, rendezvous, rendezvous_keyed,
};
use helper::{conn, next, settle};
use tower::{Service, ServiceExt, service_fn};

/// What was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(ConnId, WaitEvent)>>>);

impl Told {
    /// A connection that is observed, and its peer.
    fn conn(&self) -> (Conn<MemoryStream>, MemoryStream) {
        let (mut conn, peer) = conn();
        let told = Arc::clone(&self.0);
        let observe = move |info: &Info, event| told.lock().unwrap().push((info.id, event));
        conn.info.extensions.insert(WaitObserver::new(observe));
        (conn, peer)
    }

    fn take(&self) -> Vec<(ConnId, WaitEvent)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn of_its_wait_for_one_that_comes() {
    let policy = Policy::default().wait(Some(Duration::from_secs(10)));
    let (mut a, mut b, mut pairs) = rendezvous(policy);
    let told = Told::default();
    let (joins, _joins_peer) = told.conn();
    let (dies, dies_peer) = told.conn();
    let (expires, _expires_peer) = told.conn();
    let ids = [joins.info.id, dies.info.id, expires.info.id];
    for conn in [joins, dies, expires] {
        a.ready().await.unwrap().call(conn).await.unwrap();
    }
    assert_eq!(told.take(), ids.map(|id| (id, WaitEvent::Entered)));

    let (partner, _partner_peer) = conn();
    b.ready().await.unwrap().call(partner).await.unwrap();
    let _pair = next(&mut pairs).await;
    settle().await;
    assert_eq!(told.take(), []);

    drop(dies_peer);
    settle().await;
    assert_eq!(told.take(), [(ids[1], WaitEvent::Died)]);
    tokio::time::advance(Duration::from_secs(10)).await;
    settle().await;
    assert_eq!(told.take(), [(ids[2], WaitEvent::Expired)]);
}

#[tokio::test]
async fn of_its_wait_for_one_that_is_dialled() {
    let told = Told::default();
    let dial = service_fn(async |_: Info| Ok::<_, std::io::Error>(conn().0));
    let (mut service, mut pairs) = dial_for_a(Policy::default(), dial);
    let (a, _peer) = told.conn();
    let id = a.info.id;
    let joining = tokio::spawn(service.ready().await.unwrap().call(a));
    assert_eq!(told.take(), [(id, WaitEvent::Entered)]);
    let pair = next(&mut pairs).await;
    joining.await.unwrap().unwrap();
    drop(pair);
    assert_eq!(told.take(), []);
}

#[tokio::test]
async fn of_its_refusal() {
    let told = Told::default();
    let (mut place, _pairs) = rendezvous_keyed(Policy::default(), Keyed::new(|_| None::<u32>));
    let (refused, _peer) = told.conn();
    let id = refused.info.id;
    place.ready().await.unwrap().call(refused).await.unwrap();
    settle().await;
    let refused = WaitEvent::Refused(Refusal::UnknownKey);
    assert_eq!(told.take(), [(id, WaitEvent::Entered), (id, refused)]);
}
