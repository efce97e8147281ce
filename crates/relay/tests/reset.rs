//! A reset on one side reaches the other as a reset, after everything that came before it.

mod helper;

use std::{error::Error, io, time::Duration};

use couplet_endpoint::{Side, memory};
use couplet_pairing::CloseReason;
use couplet_relay::{Relay, RelayError, Summary};
use helper::{
    SIDES, assert_reset, by_hand, drive, finish,
    ios::{Fault, Faulty},
    join, memory_pair, read_now, reset, shut_down, write_now,
};
use tokio::time::advance;

const MOMENT: Duration = Duration::from_millis(1);

fn bytes_from(side: Side, summary: &Summary) -> u64 {
    match side {
        Side::A => summary.a_to_b,
        Side::B => summary.b_to_a,
    }
}

fn cause(error: &RelayError) -> io::ErrorKind {
    let source = error.source().expect("it has a cause");
    let source: &io::Error = source.downcast_ref().expect("that is an io error");
    source.kind()
}

#[tokio::test]
async fn a_reset_comes_after_the_bytes_sent_before() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut this, b"last words");
        write_now(&mut other, b"unheard");
        reset(this);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
        assert_eq!(bytes_from(side, error.summary()), 10);
        assert_eq!(error.summary().session, session.id());
        assert_eq!(cause(&error), io::ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), format!("session ended: reset by {side}"));
        assert_eq!(session.end_reason(), Some(CloseReason::Reset(side)));

        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"last words");
        assert_reset(&end.unwrap());
    }
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_before_the_reset() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 4);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        assert_eq!(write_now(&mut this, b"0123"), 4);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(write_now(&mut this, b"4567"), 4);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(write_now(&mut this, b"89ab"), 4);
        reset(this);

        let mut heard = Vec::new();
        for _ in 0..2 {
            assert!(drive(&mut relaying).is_pending());
            heard.extend(read_now(&mut other).0);
        }
        let error = finish(relaying).unwrap_err();
        assert_eq!(bytes_from(side, error.summary()), 12);
        let (rest, end) = read_now(&mut other);
        heard.extend(rest);
        assert_eq!(heard, b"0123456789ab");
        assert_reset(&end.unwrap());
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_does_not_look_whole() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"half an ans");
        reset(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(!side));
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"half an ans");
        assert_reset(&end.unwrap());
    }
}

/// A write may be the first to be told.
#[tokio::test]
async fn earlier_bytes_arrive_though_a_write_has_failed() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (_, relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"question");
        write_now(&mut other, b"half an ans");
        reset(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(!side));
        assert_eq!(bytes_from(!side, error.summary()), 11);
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"half an ans");
        assert_reset(&end.unwrap());
    }
}

/// The system tells of a reset once: after a write was told, a read sees an end.
#[tokio::test]
async fn an_end_that_follows_a_failed_write_is_not_passed_on() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        write_now(&mut this, b"question");
        write_now(&mut other, b"half an ans");
        faults.set().write = Some(Fault::Fails(io::ErrorKind::ConnectionReset));
        // Which of the two directions goes first depends on the side.
        assert!(drive(&mut relaying).is_pending());
        faults.set().read = Some(Fault::Ends);
        drop(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(!side));
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"half an ans");
        assert_reset(&end.unwrap());
    }
}

/// The same within one turn of the relay. From A to B goes first, so that the write to B is told; the
/// other way round the read is told of the reset.
#[tokio::test]
async fn an_end_in_the_turn_of_the_failed_write_is_not_passed_on() {
    let (mut this, this_io) = memory::connection(64);
    let (_other, other_io) = memory::connection(64);
    let (other_io, faults) = Faulty::new(other_io);
    let (_, relaying) = by_hand(Relay::new(), join(Side::A, this_io, other_io));
    write_now(&mut this, b"question");
    faults.set().write = Some(Fault::Fails(io::ErrorKind::ConnectionReset));
    faults.set().read = Some(Fault::Ends);

    let error = finish(relaying).unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Reset(Side::B));
    assert_reset(&read_now(&mut this).1.unwrap());
}

#[tokio::test]
async fn any_other_failure_is_a_reset_to_the_other_side() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (this_io, faults) = Faulty::new(this_io);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        write_now(&mut this, b"last words");
        assert!(drive(&mut relaying).is_pending());
        faults.set().read = Some(Fault::Fails(io::ErrorKind::TimedOut));
        write_now(&mut this, b"unheard");

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(side));
        assert_eq!(cause(&error), io::ErrorKind::TimedOut);
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"last words");
        assert_reset(&end.unwrap());
    }
}

#[tokio::test]
async fn a_sink_that_fails_to_end_has_failed() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        faults.set().shutdown = Some(Fault::Fails(io::ErrorKind::TimedOut));
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        drop(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(!side));
        assert_reset(&read_now(&mut this).1.unwrap());
    }
}

#[tokio::test]
async fn a_sink_that_takes_nothing_has_failed() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        faults.set().write = Some(Fault::Ends);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        write_now(&mut this, b"unheard");
        assert!(drive(&mut relaying).is_pending());
        drop(other);

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(!side));
        assert_eq!(cause(&error), io::ErrorKind::WriteZero);
        assert_reset(&read_now(&mut this).1.unwrap());
    }
}

/// What a broken connection had sent is there, or never comes.
#[tokio::test(start_paused = true)]
async fn a_pair_that_has_failed_is_not_kept_for_ever() {
    let relay = Relay::new().linger(Duration::from_secs(3));
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        let relay = relay.clone().half_close_timeout(None);
        let (_, mut relaying) = by_hand(relay, join(side, this_io, other_io));
        faults.set().write = Some(Fault::Fails(io::ErrorKind::InvalidData));
        write_now(&mut this, b"what can't be encoded");
        assert!(drive(&mut relaying).is_pending());
        advance(Duration::from_secs(2)).await;
        write_now(&mut other, b"answer");
        assert!(drive(&mut relaying).is_pending());
        advance(Duration::from_secs(3) - MOMENT).await;
        assert!(drive(&mut relaying).is_pending());
        advance(MOMENT).await;

        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(!side));
        let (heard, end) = read_now(&mut this);
        assert_eq!(heard, b"answer");
        assert_reset(&end.unwrap());
        assert_reset(&read_now(&mut other).1.unwrap());
    }
}

// ===== what the system holds =====

#[tokio::test(start_paused = true)]
async fn a_reset_waits_until_the_rest_has_left() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        faults.set().has_unsent = true;
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));
        write_now(&mut this, b"last words");
        reset(this);
        assert!(drive(&mut relaying).is_pending());

        // Bytes that still come for the side that is gone are discarded, so that the sender is not held up.
        for _ in 0..10 {
            advance(Duration::from_secs(1)).await;
            assert_eq!(write_now(&mut other, &[0; 64]), 64);
            assert!(drive(&mut relaying).is_pending());
        }
        faults.set().has_unsent = false;
        advance(Duration::from_millis(20)).await;
        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
        assert_eq!(bytes_from(!side, error.summary()), 0);
        assert_eq!(read_now(&mut other).0, b"last words");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_waits_for_the_linger_time_at_most() {
    for side in SIDES {
        let (this, this_io) = memory::connection(64);
        let (_other, other_io) = memory::connection(64);
        let (other_io, faults) = Faulty::new(other_io);
        faults.set().has_unsent = true;
        let relay = Relay::new().linger(Duration::from_secs(3));
        let (_, mut relaying) = by_hand(relay, join(side, this_io, other_io));
        reset(this);
        for _ in 0..2999 {
            assert!(drive(&mut relaying).is_pending());
            advance(MOMENT).await;
        }
        assert!(drive(&mut relaying).is_pending());
        advance(MOMENT).await;
        let error = finish(relaying).unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
    }
}
