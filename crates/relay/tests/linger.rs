//! A side that answers and closes is heard to the end, though the other is still sending.

mod helper;

use std::{sync::atomic::Ordering, time::Duration};

use couplet_endpoint::memory;
use couplet_pairing::CloseReason;
use couplet_relay::Relay;
use helper::{
    FIRST_READS, MIB, SIDES, assert_reset, by_hand, drive, finish,
    ios::{Endless, Fault, Faulty},
    join, memory_pair, read_now, reset, shut_down, write_now,
};
use tokio::time::{Instant, advance};

const LINGER: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn the_answer_arrives_whole_while_the_sender_goes_on() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 1024);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"a long upload");
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"too long");
        drop(other);

        // The sender reads only when it has sent everything.
        for _ in 0..1024 {
            assert!(drive(&mut relaying).is_pending());
            assert_eq!(write_now(&mut this, &[0; 1024]), 1024);
        }
        assert!(drive(&mut relaying).is_pending());
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"too long");
        assert!(end.is_some_and(|end| end.is_ok()));

        // Only when it closes too, all is over.
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut this);
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
        assert_eq!(summary.a_to_b + summary.b_to_a, 13 + 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_linger_lasts_for_its_time_at_most() {
    for side in SIDES {
        let (mut this, other, pair) = memory_pair(side, 1024);
        let relay = Relay::new().linger(LINGER);
        let (_, mut relaying) = by_hand(relay, pair);
        drop(other);
        assert!(drive(&mut relaying).is_pending());
        // The time before it was known does not count.
        advance(LINGER * 2).await;
        write_now(&mut this, b"more");
        assert!(drive(&mut relaying).is_pending());
        advance(LINGER / 2).await;
        // That it goes on sending is no reason to wait longer.
        write_now(&mut this, b"and more");
        assert!(drive(&mut relaying).is_pending());
        advance(LINGER / 2 - MOMENT).await;
        assert!(!relaying.is_woken());
        advance(MOMENT).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
        assert_eq!(summary.a_to_b + summary.b_to_a, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_linger_discards_64_mib_at_most() {
    for side in SIDES {
        let endless = Endless::new(u64::MAX);
        let taken = endless.taken.clone();
        let (other, other_io) = memory::connection(1024);
        let relay = Relay::new().linger(LINGER);
        let (_, mut relaying) = by_hand(relay, join(side, endless, other_io));
        drop(other);

        assert!(drive(&mut relaying).is_pending());
        let most = (FIRST_READS + 64 * MIB) as u64;
        assert_eq!(taken.load(Ordering::Relaxed), most);
        // Then the sender is held up, and costs nothing until the time is over.
        advance(LINGER - MOMENT).await;
        assert!(!relaying.is_woken());
        advance(MOMENT).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
        assert_eq!(taken.load(Ordering::Relaxed), most);
    }
}

#[tokio::test]
async fn a_linger_ends_no_answer_that_has_not_ended() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(1024);
        let (mut other, other_io) = memory::connection(1024);
        let (other_io, faults) = Faulty::new(other_io);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        // It takes no more, and still speaks.
        faults.set().write = Some(Fault::Fails(std::io::ErrorKind::BrokenPipe));
        write_now(&mut this, b"unheard");
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"half an ans");
        assert!(drive(&mut relaying).is_pending());
        reset(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(!side));
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"half an ans");
        assert_reset(&end.unwrap());
    }
}

/// The system still holds the answer, and a slow client takes it bit by bit.
#[tokio::test(start_paused = true)]
async fn a_linger_lasts_while_the_answer_is_read() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(1024);
        let (this_io, faults) = Faulty::new(this_io);
        let (other, other_io) = memory::connection(1024);
        let relay = Relay::new().linger(LINGER);
        let (_, mut relaying) = by_hand(relay, join(side, this_io, other_io));
        drop(other);
        for _ in 0..10 {
            write_now(&mut this, b"more");
            assert!(drive(&mut relaying).is_pending());
            advance(LINGER / 2).await;
            faults.set().sent = Some(Instant::now());
            assert!(drive(&mut relaying).is_pending());
            advance(LINGER / 2).await;
        }
        assert!(drive(&mut relaying).is_pending());
        advance(LINGER / 2).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_pair_is_not_idle_while_the_answer_is_taken() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(1024);
        let (this_io, faults) = Faulty::new(this_io);
        let (_other, other_io) = memory::connection(1024);
        let relay = Relay::new().half_close_timeout(Some(LINGER));
        let (_, mut relaying) = by_hand(relay, join(side, this_io, other_io));
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        advance(LINGER - MOMENT).await;
        faults.set().sent = Some(Instant::now());
        advance(MOMENT).await;
        assert!(drive(&mut relaying).is_pending());
        advance(LINGER).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(side));
    }
}

#[tokio::test(start_paused = true)]
async fn unsent_bytes_of_the_kernel_are_known() {
    for side in SIDES {
        let (_this, this_io) = memory::connection(1024);
        let (this_io, faults) = Faulty::new(this_io);
        let (_other, other_io) = memory::connection(1024);
        let (session, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        let began = Instant::now();
        advance(LINGER).await;
        faults.set().sent = Some(Instant::now());
        assert!(relaying.poll().is_pending());
        assert_eq!(session.meter().last_progress(), began);
        session.meter().ask_for_sent();
        assert!(relaying.poll().is_pending());
        assert_eq!(session.meter().last_progress(), began + LINGER);
        // Once.
        advance(LINGER).await;
        faults.set().sent = Some(Instant::now());
        assert!(relaying.poll().is_pending());
        assert_eq!(session.meter().last_progress(), began + LINGER);
    }
}
