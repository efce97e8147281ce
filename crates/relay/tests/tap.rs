//! A tap of a live session sees all that is read from then on, and costs the pair its splice meanwhile.

#![expect(clippy::unwrap_used, reason = "a note that fails, fails its test")]

mod helper;

use std::{
    io,
    sync::{Arc, Mutex},
};

use couplet_endpoint::Side;
use couplet_pairing::Tap;
use couplet_relay::Relay;
use helper::{
    SIDES, by_hand, drive, memory_pair, noise, now, reset, shut_down, spawn, tcp_pair, write_now,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a tap has seen.
#[derive(Debug, Default)]
struct Seen {
    bytes: [Vec<u8>; 2],
    ends: Vec<(Side, Option<io::ErrorKind>)>,
    is_done: bool,
}

#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Seen>>);

impl Tap for Notes {
    fn data(&self, from: Side, bytes: &[u8]) {
        self.0.lock().unwrap().bytes[from as usize].extend_from_slice(bytes);
    }

    fn ended(&self, from: Side) {
        self.0.lock().unwrap().ends.push((from, None));
    }

    fn failed(&self, side: Side, error: &io::Error) {
        self.0.lock().unwrap().ends.push((side, Some(error.kind())));
    }

    fn is_done(&self) -> bool {
        self.0.lock().unwrap().is_done
    }
}

const MESSAGE: usize = 64 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_spliced_pair_is_copied_only_while_it_is_tapped() {
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, _relaying) = spawn(Relay::new(), pair);
        let message = noise(1, MESSAGE);
        let mut say = async || {
            let mut heard = vec![0; MESSAGE];
            let (said, _) = tokio::join!(this.write_all(&message), other.read_exact(&mut heard));
            said.unwrap();
            assert!(heard == message);
        };
        // How much comes at a time is up to the system.
        until_spliced(&session, side, &mut say).await;
        let notes = Notes::default();
        let tapped = session.tap(notes.clone()).unwrap();
        let before = session.meter().bytes(side);
        for _ in 0..20 {
            say().await;
        }
        assert!(!session.meter().is_spliced(side));
        let moved = usize::try_from(session.meter().bytes(side) - before).unwrap();
        assert_eq!(moved, 20 * MESSAGE);
        assert!(notes.0.lock().unwrap().bytes[side as usize] == message.repeat(20));

        // A tap that is done gives the splice back, as the end of the tap does.
        notes.0.lock().unwrap().is_done = true;
        until_spliced(&session, side, &mut say).await;
        notes.0.lock().unwrap().is_done = false;
        say().await;
        assert!(!session.meter().is_spliced(side));
        drop(tapped);
        let seen = notes.0.lock().unwrap().bytes[side as usize].len();
        until_spliced(&session, side, &mut say).await;
        assert_eq!(notes.0.lock().unwrap().bytes[side as usize].len(), seen);
    }
}

#[cfg(target_os = "linux")]
async fn until_spliced(
    session: &couplet_pairing::Session,
    side: Side,
    say: &mut impl AsyncFnMut(),
) {
    for _ in 0..10_000 {
        say().await;
        if session.meter().is_spliced(side) {
            return;
        }
    }
    panic!("it is never spliced");
}

#[tokio::test(start_paused = true)]
async fn both_directions_and_their_ends_are_seen() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 1024);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"before");
        assert!(drive(&mut relaying).is_pending());
        let notes = Notes::default();
        let _tapped = session.tap(notes.clone()).unwrap();
        write_now(&mut this, b"there");
        write_now(&mut other, b"back");
        assert!(drive(&mut relaying).is_pending());
        now(other.read_exact(&mut [0; 11])).unwrap().unwrap();
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut other, b", and more");
        assert!(drive(&mut relaying).is_pending());
        reset(other);
        let _ = drive(&mut relaying);
        let seen = notes.0.lock().unwrap();
        assert_eq!(seen.bytes[side as usize], b"there");
        assert_eq!(seen.bytes[!side as usize], b"back, and more");
        let reset = Some(io::ErrorKind::ConnectionReset);
        assert_eq!(seen.ends, [(side, None), (!side, reset)]);
    }
}

#[tokio::test]
async fn the_tap_is_dropped_with_the_session() {
    let (this, other, pair) = memory_pair(Side::A, 1024);
    let (session, relaying) = spawn(Relay::new(), pair);
    let notes = Notes::default();
    let tapped = session.tap(notes.clone()).unwrap();
    drop((this, other));
    let _ = relaying.await.unwrap();
    assert_eq!(Arc::strong_count(&notes.0), 1);
    assert!(!session.is_tapped());
    drop(tapped);
}
