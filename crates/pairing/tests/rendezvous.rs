//! Both sides come by themselves: the order, the bounds and the end.

mod helper;

use std::{io, time::Duration};

use couplet_endpoint::{Side, memory::MemoryStream};
use couplet_pairing::{Policy, rendezvous};
use futures::StreamExt;
use helper::{arrive, conn, hears_reset, joined, next, reset, settle, soon, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::advance,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

// ===== the order =====

#[tokio::test(start_paused = true)]
async fn the_oldest_of_both_sides_are_joined() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut peers = Vec::new();
    let (mut on_a, mut on_b) = (Vec::new(), Vec::new());
    for turn in 0..6 {
        // B is behind at first, and ahead in the end.
        for (place, ids, count) in [(&mut a, &mut on_a, 1), (&mut b, &mut on_b, turn / 2)] {
            for _ in 0..count {
                let (id, peer) = arrive(place);
                ids.push(id);
                peers.push(peer);
            }
        }
        settle().await;
    }
    for (a, b) in on_a.into_iter().zip(on_b) {
        assert_eq!(joined(&next(&mut pairs).await).map(|info| info.id), [a, b]);
    }
    assert_eq!(pairs.counts().waiting(Side::A), 0);
    assert_pending!(task::spawn(pairs.next()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_pair_are_not_crossed() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    let (_, mut b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    for (io, peer) in [(&mut pair.a, &mut a_peer), (&mut pair.b, &mut b_peer)] {
        io.write_all(b"to the peer").await.unwrap();
        peer.write_all(b"from the peer").await.unwrap();
        peer.shutdown().await.unwrap();
        let mut heard = String::new();
        io.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "from the peer");
        let mut heard = [0; 11];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"to the peer");
    }
}

#[tokio::test(start_paused = true)]
async fn pairs_are_made_only_on_request() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().max_waiting(3));
    let counts = pairs.counts();
    let mut a_peers = [(); 3].map(|()| Some(arrive(&mut a).1));
    let b_peers = [(); 3].map(|()| arrive(&mut b));
    settle().await;
    assert_eq!(counts.waiting(Side::A), 3);
    assert_eq!(counts.waiting(Side::B), 3);

    // And while no pair is asked for they are watched.
    let mut next_slot = task::spawn(a.ready());
    assert_pending!(next_slot.poll());
    a_peers[0] = None;
    until(|| counts.died(Side::A) == 1).await;
    assert!(next_slot.is_woken());
    assert_ready_ok!(next_slot.poll());
    drop(next_slot);

    // One pair a question.
    let _pair = next(&mut pairs).await;
    settle().await;
    assert_eq!(counts.waiting(Side::A), 1);
    assert_eq!(counts.waiting(Side::B), 2);
    drop((a_peers, b_peers));
}

#[tokio::test(start_paused = true)]
async fn the_session_has_the_info_of_both_sides() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let (on_a, _a_peer) = arrive(&mut a);
        let (on_b, _b_peer) = arrive(&mut b);
        let pair = next(&mut pairs).await;
        for (side, id) in [(Side::A, on_a), (Side::B, on_b)] {
            assert_eq!(pair.session.info(side).side, Some(side));
            assert_eq!(pair.session.info(side).id, id);
        }
        sessions.push(pair.session.id());
    }
    assert!(sessions[0] < sessions[1]);
}

// ===== the slots =====

#[tokio::test(start_paused = true)]
async fn slots_bound_each_side_by_itself() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().max_waiting(2));
    let _a_peers = [arrive(&mut a), arrive(&mut a)];
    settle().await;
    let mut next_a = task::spawn(a.ready());
    assert_pending!(next_a.poll());
    // The other side's are free, and a match frees one of each.
    let _b_peers = [arrive(&mut b), arrive(&mut b)];
    settle().await;
    assert_pending!(task::spawn(b.ready()).poll());
    assert_pending!(next_a.poll());
    let _pair = next(&mut pairs).await;
    assert!(next_a.is_woken());
    assert_ready_ok!(next_a.poll());
    assert_ready_ok!(task::spawn(b.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_again_when_its_connection_dies_or_expires() {
    let (mut a, _b, _pairs) =
        rendezvous::<_, MemoryStream>(Policy::default().max_waiting(1).wait(Some(SECOND)));
    let (_, dies) = arrive(&mut a);
    settle().await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    drop(dies);
    settle().await;
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
    drop(free);

    let (_, _expires) = arrive(&mut a);
    settle().await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    advance(SECOND).await;
    settle().await;
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
async fn a_reserved_slot_is_given_back_on_drop_and_never_cloned() {
    let (mut a, _b, _pairs) =
        rendezvous::<MemoryStream, MemoryStream>(Policy::default().max_waiting(1));
    assert_ready_ok!(task::spawn(a.ready()).poll());
    assert_ready_ok!(task::spawn(a.ready()).poll(), "it is reserved once");
    let mut clone = a.clone();
    let mut free = task::spawn(clone.ready());
    assert_pending!(free.poll());
    drop(a);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "poll_ready comes before call")]
async fn a_clone_holds_no_slot() {
    let (mut a, _b, _pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    assert_ready_ok!(task::spawn(a.ready()).poll());
    let (conn, _peer) = conn();
    drop(a.clone().call(conn));
}

#[tokio::test(start_paused = true)]
async fn no_bound_is_too_large() {
    let (mut a, mut b, mut pairs) = rendezvous(
        Policy::default()
            .max_waiting(usize::MAX)
            .wait(Some(Duration::MAX)),
    );
    let (_, _a_peer) = arrive(&mut a);
    advance(400 * 24 * 3600 * SECOND).await;
    let (_, _b_peer) = arrive(&mut b);
    next(&mut pairs).await;
}

// ===== the deadline =====

#[tokio::test(start_paused = true)]
async fn a_connection_waits_exactly_until_its_deadline() {
    const TICK: Duration = Duration::from_millis(1);
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().wait(Some(10 * SECOND)));
    let counts = pairs.counts();

    // One is matched before, and lives on.
    let (_, mut matched_peer) = arrive(&mut a);
    let (_, _b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;

    let (_, mut first) = arrive(&mut a);
    settle().await;
    advance(4 * SECOND).await;
    let (_, mut second) = arrive(&mut a);
    settle().await;
    let expired = || counts.expired(Side::A);
    for (since, expected, peer) in [(4 * SECOND, 1, &mut first), (6 * SECOND, 2, &mut second)] {
        let left = if expected == 1 {
            10 * SECOND - since
        } else {
            4 * SECOND
        };
        advance(left - TICK).await;
        settle().await;
        assert_eq!(expired(), expected - 1);
        advance(TICK).await;
        settle().await;
        assert_eq!(expired(), expected);
        hears_reset(peer).await;
    }
    assert_eq!(counts.waiting(Side::A), 0);
    assert_eq!(counts.died(Side::A), 0);

    matched_peer.write_all(b"!").await.unwrap();
    assert_eq!(soon(pair.a.read_u8()).await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_connection_waits_for_ever() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default().wait(None));
    let (_, _peer) = arrive(&mut a);
    settle().await;
    advance(400 * 24 * 3600 * SECOND).await;
    settle().await;
    assert_eq!(pairs.counts().waiting(Side::A), 1);
}

// ===== the end =====

#[tokio::test(start_paused = true)]
async fn the_pairing_ends_when_its_pairs_are_dropped() {
    let (mut a, mut b, pairs) = rendezvous(Policy::default().max_waiting(1));
    let counts = pairs.counts();
    let (_, mut a_peer) = arrive(&mut a);
    let mut reserved = b.clone();
    assert_ready_ok!(task::spawn(reserved.ready()).poll());
    settle().await;
    let mut pending = task::spawn(a.ready());
    assert_pending!(pending.poll());
    let mut pending_b = task::spawn(b.ready());
    assert_pending!(pending_b.poll());

    drop(pairs);
    hears_reset(&mut a_peer).await;
    assert_eq!(counts.waiting(Side::A), 0);
    assert!(pending.is_woken());
    assert_ready_err!(pending.poll());
    // Even where the slot itself is not free.
    assert!(pending_b.is_woken());
    assert_ready_err!(pending_b.poll());
    assert_ready_err!(
        task::spawn(reserved.ready()).poll(),
        "even if it is reserved"
    );
    let (conn, mut peer) = conn();
    assert_ready_err!(task::spawn(reserved.call(conn)).poll());
    hears_reset(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn the_pairing_ends_even_while_a_pair_is_requested() {
    let (mut a, _b, mut pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    settle().await;
    assert_pending!(task::spawn(pairs.next()).poll());
    settle().await;
    drop(pairs);
    hears_reset(&mut a_peer).await;
    assert_ready_err!(task::spawn(a.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_a_side_can_bring_no_more() {
    let (a, mut b, mut pairs) = rendezvous::<MemoryStream, _>(Policy::default());
    let (_, mut b_peer) = arrive(&mut b);
    settle().await;
    let clone = a.clone();
    drop(a);
    let mut asking = task::spawn(pairs.next());
    settle().await;
    assert_pending!(asking.poll(), "a clone may bring one");
    drop(clone);
    assert!(soon(asking).await.is_none());
    hears_reset(&mut b_peer).await;
    assert_ready_err!(task::spawn(b.ready()).poll());
    assert!(assert_ready!(task::spawn(pairs.next()).poll()).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_do_not_end_while_a_connection_of_that_side_waits() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (on_a, _a_peer) = arrive(&mut a);
    drop(a);
    settle().await;
    let mut asking = task::spawn(pairs.next());
    assert_pending!(asking.poll());
    settle().await;
    assert_pending!(asking.poll());
    let (on_b, _b_peer) = arrive(&mut b);
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [on_a, on_b]);
    assert!(soon(pairs.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_the_last_of_a_side_dies_or_expires() {
    let (mut a, _b, mut pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let (_, peer) = arrive(&mut a);
    drop(a);
    settle().await;
    drop(peer);
    assert!(soon(pairs.next()).await.is_none());

    let (mut a, _b, mut pairs) =
        rendezvous::<_, MemoryStream>(Policy::default().wait(Some(SECOND)));
    let (_, _peer) = arrive(&mut a);
    drop(a);
    settle().await;
    advance(SECOND).await;
    assert!(soon(pairs.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_joined_pair_outlives_the_pairing() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    let (_, b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    drop((a, b, pairs));
    settle().await;
    a_peer.write_all(b"!").await.unwrap();
    assert_eq!(soon(pair.a.read_u8()).await.unwrap(), b'!');
    reset(b_peer);
    let error = soon(pair.b.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
#[should_panic(expected = "`max_waiting` is 0")]
fn a_bound_of_zero_is_refused_where_it_is_given() {
    let _ = Policy::new().max_waiting(0);
}
