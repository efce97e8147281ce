//! Dials for connections have a bound, and a pair is joined when one is asked for.

mod helper;

use std::io;

use couplet_endpoint::{Conn, Info, Side, is_caused_by, memory::MemoryStream};
use couplet_pairing::Policy;
use futures::StreamExt;
use helper::{
    conn,
    dials::{Dials, Set},
    hears_reset, joined, next, settle, soon,
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit};

// ===== side by side =====

#[tokio::test(start_paused = true)]
async fn dials_that_never_end_delay_no_other_until_every_slot_is_taken() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(3));
    let _black_holes = [set.come(), set.come()];
    for _ in 0..5 {
        let came = set.come();
        let _partner = came.dialling.connects();
        let (pair, _) = tokio::join!(next(&mut set.pairs), came.joining);
        assert_eq!(joined(&pair)[0].id, came.id);
    }
    let mut last = set.come();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    last.dialling.fails("no route");
    assert_ready_err!(last.joining.poll());
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_dial_frees_its_slot() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    let mut came = set.come();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    drop(came.joining);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
    drop(free);
    assert_eq!(set.waiting(), [0, 0]);
    assert!(came.dialling.answer.is_closed());
    hears_reset(&mut came.peer).await;
}

// ===== readiness =====

#[tokio::test(start_paused = true)]
async fn a_reserved_slot_is_given_back_on_drop_and_never_cloned() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
    let mut clone = set.service.clone();
    let mut free = task::spawn(clone.ready());
    assert_pending!(free.poll());
    drop(set.service);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "poll_ready comes before call")]
async fn a_clone_holds_no_slot() {
    let mut set = Set::new(Side::A, Policy::default());
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
    let (conn, _peer) = conn();
    drop(set.service.clone().call(conn));
}

#[tokio::test(start_paused = true)]
async fn the_dial_must_be_ready() {
    let (connect, mut dials) = Dials::new();
    let (mut service, _pairs) = couplet_pairing::dial_for_a::<MemoryStream, _, _>(
        Policy::default(),
        ConcurrencyLimit::new(connect, 1),
    );
    // Its readiness is reserved with the place, and given back with it.
    assert_ready_ok!(task::spawn(service.ready()).poll());
    let mut other = service.clone();
    let mut ready = task::spawn(other.ready());
    assert_pending!(ready.poll());
    drop(service);
    assert!(ready.is_woken());
    assert_ready_ok!(ready.poll());
    drop(ready);

    // Taken by a dial, it is free when that has ended.
    let (conn, _peer) = conn();
    let mut joining = task::spawn(other.call(conn));
    assert_pending!(joining.poll());
    let mut ready = task::spawn(other.ready());
    assert_pending!(ready.poll());
    dials.next().fails("no route");
    assert_ready_err!(joining.poll());
    assert!(ready.is_woken());
    assert_ready_ok!(ready.poll());
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_failed_for_good_returns_its_error() {
    #[derive(Debug)]
    struct Broken;
    impl Service<Info> for Broken {
        type Response = Conn<MemoryStream>;
        type Error = io::Error;
        type Future = std::future::Pending<io::Result<Conn<MemoryStream>>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
        }

        fn call(&mut self, _: Info) -> Self::Future {
            unreachable!("it was never ready")
        }
    }
    let (mut service, _pairs) =
        couplet_pairing::dial_for_a::<MemoryStream, _, _>(Policy::default(), Broken);
    let error = assert_ready_err!(task::spawn(service.ready()).poll());
    assert!(is_caused_by::<io::Error>(&error));
}

#[tokio::test(start_paused = true)]
async fn no_bound_is_too_large() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(usize::MAX));
    let _came = set.come();
}

// ===== joined when asked for =====

#[tokio::test(start_paused = true)]
async fn no_pair_is_joined_until_one_is_requested() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    let mut came = set.come();
    let _partner = came.dialling.connects();
    assert_pending!(came.joining.poll());
    assert_eq!(set.waiting(), [1, 0]);
    assert_pending!(task::spawn(set.service.ready()).poll());

    let mut asking = task::spawn(set.pairs.next());
    assert_pending!(asking.poll());
    assert!(came.joining.is_woken());
    assert_ready_ok!(came.joining.poll());
    assert!(asking.is_woken());
    soon(asking).await.unwrap().unwrap();
    assert_eq!(set.waiting(), [0, 0]);
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_dropped_dial_is_answered_by_another() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut first = set.come();
    let mut second = set.come();
    let _first_partner = first.dialling.connects();
    let (partner, _partner_peer) = second.dialling.connects();
    assert_pending!(first.joining.poll());
    assert_pending!(second.joining.poll());

    let mut asking = task::spawn(set.pairs.next());
    assert_pending!(asking.poll());
    assert!(first.joining.is_woken());
    assert!(!second.joining.is_woken());
    drop(first.joining);
    assert!(second.joining.is_woken());
    assert_ready_ok!(second.joining.poll());
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [second.id, partner]);
}

#[tokio::test(start_paused = true)]
async fn one_request_gets_one_pair() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut came = [set.come(), set.come(), set.come()].map(|came| {
        let partner = came.dialling.connects();
        (tokio::spawn(came.joining), partner)
    });
    settle().await;
    for asked in 1..=3 {
        next(&mut set.pairs).await;
        settle().await;
        let joined = came.iter_mut().filter(|(task, _)| task.is_finished());
        assert_eq!(joined.count(), asked);
    }
}
