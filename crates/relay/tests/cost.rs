//! What a pair costs the others.

mod helper;

use std::{io, sync::atomic::Ordering, time::Duration};

use couplet_endpoint::{Side, TcpIo, memory};
use couplet_relay::{Relay, Relaying};
use helper::{
    by_hand, drive,
    ios::{Endless, Fault, Faulty},
    join, memory_pair, read_now, shut_down, write_now,
};

/// The most that one turn of a pair reads from each side.
const TURN: u64 = 4 * 64 * 1024;

#[tokio::test]
async fn a_source_that_is_always_ready_yields_to_other_tasks() {
    let (a, b) = (Endless::new(100 * TURN), Endless::new(100 * TURN));
    let (from_a, from_b) = (a.taken.clone(), b.taken.clone());
    let (_, mut relaying) = by_hand(Relay::new(), join(Side::A, a, b));
    for turn in 1..=10 {
        assert!(relaying.poll().is_pending());
        assert!(relaying.is_woken(), "it asks for another");
        assert_eq!(from_a.load(Ordering::Relaxed), turn * TURN);
        assert_eq!(from_b.load(Ordering::Relaxed), turn * TURN);
    }
}

#[tokio::test]
async fn a_lingering_pair_yields_to_other_tasks() {
    let endless = Endless::new(100 * TURN);
    let taken = endless.taken.clone();
    let (_other, other_io) = memory::connection(64);
    let (other_io, faults) = Faulty::new(other_io);
    let (_, mut relaying) = by_hand(Relay::new(), join(Side::A, endless, other_io));
    faults.set().write = Some(Fault::Fails(io::ErrorKind::BrokenPipe));
    assert!(relaying.poll().is_pending());
    let mut before = taken.load(Ordering::Relaxed);
    for _ in 1..=10 {
        assert!(relaying.poll().is_pending());
        assert!(relaying.is_woken(), "it asks for another");
        let now = taken.load(Ordering::Relaxed);
        assert_eq!(now - before, TURN);
        before = now;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_pair_is_not_woken() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 64);
    let (_, mut relaying) = by_hand(Relay::new(), pair);
    write_now(&mut this, b"ping");
    assert!(drive(&mut relaying).is_pending());
    assert_eq!(read_now(&mut other).0, b"ping");
    tokio::time::advance(Duration::from_secs(365 * 24 * 3600)).await;
    assert!(!relaying.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_pair_is_not_woken() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 4);
    let (_, mut relaying) = by_hand(Relay::new(), pair);
    while write_now(&mut this, b"0123") > 0 {
        assert!(drive(&mut relaying).is_pending());
    }
    tokio::time::advance(Duration::from_secs(365 * 24 * 3600)).await;
    assert!(!relaying.is_woken());
    assert_eq!(read_now(&mut other).0, b"0123");
    assert!(relaying.is_woken());
}

/// One timer at a time, armed again when it fires early: not moved on every byte.
#[tokio::test(start_paused = true)]
async fn a_half_closed_pair_is_woken_by_bytes_and_its_timer_alone() {
    let (mut this, mut other, pair) = memory_pair(Side::A, 64);
    let (_, mut relaying) = by_hand(Relay::new(), pair);
    shut_down(&mut this);
    assert!(drive(&mut relaying).is_pending());
    tokio::time::advance(Duration::from_secs(50)).await;
    assert!(!relaying.is_woken());
    write_now(&mut other, b"byte");
    assert!(relaying.is_woken());
    assert!(drive(&mut relaying).is_pending());
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(relaying.is_woken(), "when it was first due");
    assert!(drive(&mut relaying).is_pending());
    tokio::time::advance(Duration::from_millis(49_999)).await;
    assert!(!relaying.is_woken());
}

/// A pair's memory while it is idle, but for the two sockets' registrations and the session.
#[test]
fn the_future_of_a_relay_is_small() {
    // tokio's socket is 8 bytes larger where the multi-thread runtime is built too.
    let sockets = 2 * size_of::<TcpIo>();
    assert_eq!(size_of::<Relaying<TcpIo, TcpIo>>() - sockets, 136);
}
