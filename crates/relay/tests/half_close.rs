//! A side that ends its stream still gets its answer, and does not wait for it for ever.

mod helper;

use std::time::Duration;

use couplet_endpoint::memory;
use couplet_pairing::CloseReason;
use couplet_relay::Relay;
use helper::{
    MIB, SIDES, assert_reset, by_hand, drive, finish,
    ios::{Fault, Faulty},
    join, memory_pair, noise, read_all, read_now, reset, shut_down, spawn, write_now,
};
use tokio::{
    io::AsyncWriteExt,
    time::{advance, sleep},
};

const TIMEOUT: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn the_other_side_may_still_answer() {
    let answer = noise(1, 8 * MIB);
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 4096);
        let (_, relaying) = spawn(Relay::new(), pair);

        let asks = async {
            this.write_all(b"question").await.unwrap();
            this.shutdown().await.unwrap();
            read_all(&mut this).await
        };
        let answers = async {
            let (question, end) = read_all(&mut other).await;
            assert_eq!(question, b"question");
            assert!(end.is_ok());
            sleep(TIMEOUT - MOMENT).await;
            other.write_all(&answer).await.unwrap();
            other.shutdown().await.unwrap();
        };
        let ((heard, end), ()) = tokio::join!(asks, answers);
        assert!(heard == answer);
        assert!(end.is_ok());

        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(side));
    }
}

#[tokio::test(start_paused = true)]
async fn the_surviving_direction_may_be_idle_for_exactly_the_timeout() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        assert!(drive(&mut relaying).is_pending());

        write_now(&mut this, b"question");
        assert!(drive(&mut relaying).is_pending());
        // The time before the end does not count.
        advance(TIMEOUT * 10).await;
        assert!(!relaying.is_woken());
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"question");
        assert!(end.is_some_and(|end| end.is_ok()));

        // While it waits, nothing is done.
        advance(TIMEOUT - MOMENT).await;
        assert!(!relaying.is_woken());
        advance(MOMENT).await;
        assert!(relaying.is_woken());
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(side));
        assert_eq!(session.end_reason(), Some(summary.reason));

        // An end was never told to the side that waited, so it gets none now.
        assert_reset(&read_now(&mut this).1.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn every_byte_starts_the_timeout_again() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        for _ in 0..5 {
            advance(TIMEOUT - MOMENT).await;
            assert!(drive(&mut relaying).is_pending());
            assert_eq!(write_now(&mut other, b"."), 1);
            assert!(drive(&mut relaying).is_pending());
            assert_eq!(read_now(&mut this).0, b".");
        }
        advance(TIMEOUT - MOMENT).await;
        assert!(drive(&mut relaying).is_pending());
        advance(MOMENT).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(side));
        assert_eq!(summary.a_to_b + summary.b_to_a, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_a_half_closed_pair_waits_for_ever() {
    let relay = Relay::new().half_close_timeout(None);
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (_, mut relaying) = by_hand(relay.clone(), pair);
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        advance(Duration::from_secs(365 * 24 * 3600)).await;
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"answer");
        shut_down(&mut other);
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(side));
        assert_eq!(read_now(&mut this).0, b"answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_surviving_direction_that_is_stuck_ends_too() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 4);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        advance(TIMEOUT / 2).await;
        // The side that has ended its stream does not read: four bytes fit.
        write_now(&mut other, b"01234567");
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"89abcdef");
        assert!(drive(&mut relaying).is_pending());
        advance(TIMEOUT - MOMENT).await;
        assert!(drive(&mut relaying).is_pending());
        advance(MOMENT).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(side));
        assert_eq!(summary.a_to_b + summary.b_to_a, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_never_shuts_down_ends_too() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        faults.set().shutdown = Some(Fault::Pends);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        write_now(&mut this, b"bye");
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        advance(TIMEOUT - MOMENT).await;
        assert!(drive(&mut relaying).is_pending());
        advance(MOMENT).await;
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(side));

        // The end was not delivered.
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"bye");
        assert_reset(&end.unwrap());
    }
}

#[tokio::test]
async fn a_peer_that_ended_before_its_reset_was_whole() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"question");
        shut_down(&mut this);
        reset(this);
        assert!(drive(&mut relaying).is_pending());
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"question");
        assert!(end.is_some_and(|end| end.is_ok()));

        // That no peer hears the answer shows when the answer is written.
        write_now(&mut other, b"answer");
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut other);
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(side));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_reset_after_its_end_ends_the_pair_after_the_linger() {
    let hour = Duration::from_secs(3600);
    for side in SIDES {
        for timeout in [None, Some(hour)] {
            let (mut this, mut other, pair) = memory_pair(side, 64);
            let relay = Relay::new().half_close_timeout(timeout);
            let (_, mut relaying) = by_hand(relay, pair);
            write_now(&mut this, b"question");
            shut_down(&mut this);
            assert!(drive(&mut relaying).is_pending());
            assert_eq!(read_now(&mut other).0, b"question");

            advance(TIMEOUT).await;
            assert!(drive(&mut relaying).is_pending(), "it is still there");
            reset(this);
            advance(TIMEOUT).await;
            assert!(drive(&mut relaying).is_pending(), "it lingers");
            advance(Duration::from_secs(30)).await;
            let summary = finish(relaying).unwrap();
            assert_eq!(summary.reason, CloseReason::ClosedEarly(side));
            assert!(other.write(b"answer").await.is_err());
        }
    }
}
