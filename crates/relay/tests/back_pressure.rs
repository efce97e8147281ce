//! A reader that stops stops its sender.

mod helper;

use std::sync::atomic::Ordering;

use couplet_endpoint::{Side, memory};
use couplet_relay::Relay;
use helper::{
    FIRST_READS, MIB, SIDES, by_hand, drive, ios::Endless, join, memory_pair, read_now, spawn,
    write_in_pieces, write_now,
};

const COPY_BUFFER: u64 = FIRST_READS as u64;

#[tokio::test]
async fn a_reader_that_stops_costs_one_copy_buffer() {
    for side in SIDES {
        let endless = Endless::new(u64::MAX);
        let taken = endless.taken.clone();
        let (mut other, other_io) = memory::connection(1000);
        let (session, mut relaying) = by_hand(Relay::new(), join(side, endless, other_io));

        assert!(drive(&mut relaying).is_pending());
        assert_eq!(taken.load(Ordering::Relaxed), COPY_BUFFER);
        assert_eq!(session.meter().bytes(side), 1000);

        // Until the last byte of it is delivered, no more is taken.
        let mut heard = 0;
        while heard + 1000 < COPY_BUFFER {
            heard += read_now(&mut other).0.len() as u64;
            assert_eq!(taken.load(Ordering::Relaxed), COPY_BUFFER);
            assert!(drive(&mut relaying).is_pending());
        }
        read_now(&mut other);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(taken.load(Ordering::Relaxed), 2 * COPY_BUFFER);
    }
}

#[tokio::test]
async fn a_sender_is_held_up_and_goes_on() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 1000);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        let mut sent = 0;
        loop {
            let taken = write_now(&mut this, &[0; 4096]);
            assert!(drive(&mut relaying).is_pending());
            if taken == 0 {
                break;
            }
            sent += taken;
        }
        assert_eq!(sent, 3000, "two buffers of the streams, one of the relay");

        let mut heard = 0;
        while heard < sent {
            heard += read_now(&mut other).0.len();
            assert!(drive(&mut relaying).is_pending());
        }
        assert_eq!(write_now(&mut this, b"goes on"), 7);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0, b"goes on");
    }
}

#[tokio::test]
async fn a_stuck_direction_does_not_hold_up_the_other() {
    for side in SIDES {
        let (mut other, other_io) = memory::connection(1000);
        let (_, mut relaying) = by_hand(
            Relay::new(),
            join(side, Endless::new(COPY_BUFFER), other_io),
        );
        assert!(drive(&mut relaying).is_pending());
        for _ in 0..1000 {
            assert_eq!(write_now(&mut other, &[0; 1000]), 1000);
            assert!(drive(&mut relaying).is_pending());
        }
    }
}

#[tokio::test]
async fn stuck_pairs_delay_no_other() {
    let mut stuck = Vec::new();
    for _ in 0..64 {
        let (this, other_io) = memory::connection(1000);
        let pair = join(Side::A, Endless::new(u64::MAX), other_io);
        stuck.push((this, spawn(Relay::new(), pair)));
    }
    let (mut this, mut other, pair) = memory_pair(Side::A, 4096);
    let _relaying = spawn(Relay::new(), pair);
    let sent = vec![7; MIB];
    let (_, heard) = tokio::join!(write_in_pieces(&mut this, &sent, 5000), async {
        let mut heard = vec![0; MIB];
        tokio::io::AsyncReadExt::read_exact(&mut other, &mut heard)
            .await
            .unwrap();
        heard
    });
    assert!(heard == sent);
}
