//! A session that is closed from outside ends at once, and no peer takes that for an end of stream.

mod helper;

use couplet_endpoint::{Side, memory};
use couplet_pairing::CloseReason;
use couplet_relay::Relay;
use helper::{
    SIDES, assert_reset, by_hand, drive, finish,
    ios::{Fault, Faulty, Set},
    join, memory_pair, now, read_now, shut_down, spawn, write_now,
};
use tokio_test::{assert_pending, assert_ready_eq, task};

#[tokio::test]
async fn a_close_ends_the_relay_at_once_with_its_reason() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 4);
    let (session, mut relaying) = by_hand(Relay::new(), pair);
    // One direction is stuck, the other idle.
    write_now(&mut this, b"0123");
    assert!(drive(&mut relaying).is_pending());
    write_now(&mut this, b"4567");
    assert!(drive(&mut relaying).is_pending());
    let mut ended = task::spawn(session.ended());
    assert_pending!(ended.poll());

    session.close(CloseReason::Shutdown);
    assert!(relaying.is_woken());
    let summary = finish(relaying).unwrap();
    assert_eq!(summary.reason, CloseReason::Shutdown);
    assert_eq!((summary.a_to_b, summary.b_to_a), (4, 0));
    assert!(ended.is_woken());
    assert_ready_eq!(ended.poll(), CloseReason::Shutdown);

    assert_reset(&read_now(&mut this).1.unwrap());
    let (heard, end) = read_now(&mut other);
    assert_eq!(heard, b"0123");
    assert_reset(&end.unwrap());
}

#[tokio::test]
async fn an_end_passed_on_before_a_close_stays_an_end() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"question");
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"half an ans");
        assert!(drive(&mut relaying).is_pending());

        session.close(CloseReason::IdleTimeout);
        assert!(finish(relaying).is_ok());
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"question");
        assert!(end.is_some_and(|end| end.is_ok()));
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"half an ans");
        assert_reset(&end.unwrap());
    }
}

#[tokio::test]
async fn a_pair_may_be_closed_before_a_byte_has_moved() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 64);
    write_now(&mut this, b"unheard");
    pair.session.close(CloseReason::MaxLifetime);
    let (_, relaying) = by_hand(Relay::new(), pair);
    let summary = finish(relaying).unwrap();
    assert_eq!(summary.reason, CloseReason::MaxLifetime);
    assert_eq!(summary.a_to_b, 0);
    assert_reset(&read_now(&mut other).1.unwrap());
}

#[tokio::test]
async fn a_lingering_pair_can_be_closed() {
    let (mut this, other, pair) = memory_pair(Side::A, 64);
    let (session, mut relaying) = by_hand(Relay::new(), pair);
    write_now(&mut this, b"upload");
    drop(other);
    assert!(drive(&mut relaying).is_pending());
    session.close(CloseReason::Shutdown);
    assert_eq!(finish(relaying).unwrap().reason, CloseReason::Shutdown);
}

#[tokio::test]
async fn the_future_may_be_dropped() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"question");
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(session.end_reason(), None);

        drop(relaying);
        assert_eq!(now(session.ended()), Some(CloseReason::Dropped));
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"question");
        assert!(end.is_some_and(|end| end.is_ok()));
        assert_reset(&read_now(&mut this).1.unwrap());
    }
}

#[tokio::test]
async fn the_future_may_be_dropped_before_it_was_polled() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 64);
    let (session, relaying) = by_hand(Relay::new(), pair);
    drop(relaying);
    assert_eq!(session.end_reason(), Some(CloseReason::Dropped));
    assert_reset(&read_now(&mut this).1.unwrap());
    assert_reset(&read_now(&mut other).1.unwrap());
}

#[tokio::test]
async fn a_panic_ends_its_pair_alone() {
    let panics = [
        |set: &mut Set| set.read = Some(Fault::Panics),
        |set: &mut Set| set.write = Some(Fault::Panics),
        |set: &mut Set| set.shutdown = Some(Fault::Panics),
    ];
    for panics in panics {
        let (mut this, this_io) = memory::connection(64);
        let (_other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        panics(&mut faults.set());
        let (session, relaying) = spawn(Relay::new(), join(Side::A, this_io, other_io));
        write_now(&mut this, b"question");
        shut_down(&mut this);
        assert!(relaying.await.unwrap_err().is_panic());
        assert_eq!(session.end_reason(), Some(CloseReason::Dropped));
        assert_reset(&read_now(&mut this).1.unwrap());

        // The next on this thread is served as ever.
        let (mut this, mut other, pair) = memory_pair(Side::A, 64);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"hello");
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0, b"hello");
    }
}
