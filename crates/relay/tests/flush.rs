//! What is written does not sit in a buffer on the way.

mod helper;

use couplet_endpoint::memory;
use couplet_relay::Relay;
use helper::{
    MIB, SIDES, by_hand, drive, finish,
    ios::{Call, Holding},
    join, read_now, reset, shut_down, write_now,
};

#[tokio::test]
async fn a_stalled_source_flushes_its_sink() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, calls) = Holding::new(other_io, MIB);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        for word in [b"one", b"two"] {
            write_now(&mut this, word);
            assert!(drive(&mut relaying).is_pending());
            assert_eq!(read_now(&mut other).0, word);
        }
        // The other direction has nothing to do with it.
        write_now(&mut other, b"answer");
        assert!(drive(&mut relaying).is_pending());
        let expected = [Call::Write(3), Call::Flush, Call::Write(3), Call::Flush];
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn bytes_held_by_the_sink_go_out_before_the_end() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        // Less room than is held, so that the flush has to wait.
        let (mut other, other_io) = memory::connection(4);
        let (other_io, calls) = Holding::new(other_io, MIB);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        write_now(&mut this, b"last words");
        shut_down(&mut this);
        let mut heard = Vec::new();
        for _ in 0..3 {
            assert!(drive(&mut relaying).is_pending());
            heard.extend(read_now(&mut other).0);
        }
        assert_eq!(heard, b"last words");
        shut_down(&mut other);
        assert!(finish(relaying).is_ok());
        let expected = [Call::Write(10), Call::Flush, Call::Shutdown];
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn bytes_held_by_the_sink_go_out_before_a_reset() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(4);
        let (other_io, calls) = Holding::new(other_io, MIB);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        write_now(&mut this, b"last words");
        reset(this);
        let mut heard = Vec::new();
        for _ in 0..2 {
            assert!(drive(&mut relaying).is_pending());
            heard.extend(read_now(&mut other).0);
        }
        assert!(finish(relaying).is_err());
        heard.extend(read_now(&mut other).0);
        assert_eq!(heard, b"last words");
        assert_eq!(*calls.lock().unwrap(), [Call::Write(10), Call::Flush]);
    }
}

#[tokio::test]
async fn a_sink_that_is_full_is_flushed() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, calls) = Holding::new(other_io, 4);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        write_now(&mut this, b"012345");
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0, b"012345");
        let expected = [Call::Write(4), Call::Flush, Call::Write(2), Call::Flush];
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_sink_without_bytes_is_not_flushed() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(64);
        let (mut other, other_io) = memory::connection(64);
        let (other_io, calls) = Holding::new(other_io, MIB);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b"a stall, an end");
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut this);
        shut_down(&mut other);
        assert!(finish(relaying).is_ok());
        assert_eq!(*calls.lock().unwrap(), [Call::Shutdown]);
    }
}

#[tokio::test]
async fn a_busy_source_is_not_flushed_piece_by_piece() {
    for side in SIDES {
        let (mut this, this_io) = memory::connection(MIB);
        let (mut other, other_io) = memory::connection(MIB);
        let (other_io, calls) = Holding::new(other_io, MIB);
        let (_, mut relaying) = by_hand(Relay::new(), join(side, this_io, other_io));

        assert_eq!(write_now(&mut this, &vec![0; MIB]), MIB);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0.len(), MIB);
        let calls = calls.lock().unwrap();
        assert_eq!(calls.iter().filter(|&&call| call == Call::Flush).count(), 1);
    }
}
