//! A waiting peer that has vanished without a word is asked before it is joined.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod helper;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{
    Conn, ConnId, Info, Io, Origin, Side, forward_async_write,
    io::Probe,
    memory::{self, MemoryStream},
};
use couplet_pairing::{Keyed, Policy, Refusal, Third, WhenFull, rendezvous, rendezvous_keyed};
use futures::StreamExt;
use helper::{by_key::Key, fill, hears_reset, joined, next, settle, until};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};
use tokio_test::{assert_pending, task};

/// A connection whose system tells when it last heard of the peer, and can ask.
#[derive(Debug)]
struct Asked {
    io: MemoryStream,
    peer: Arc<Mutex<Peer>>,
}

#[derive(Debug)]
struct Peer {
    heard: Instant,
    is_there: bool,
    asked: u32,
    is_asked: bool,
}

impl Io for Asked {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn heard_ago(&mut self) -> Option<Duration> {
        let peer = self.peer.lock().unwrap();
        Some(match peer.is_asked && peer.is_there {
            true => Duration::ZERO,
            false => peer.heard.elapsed(),
        })
    }

    fn begin_probe(&mut self) -> Option<Probe> {
        let mut peer = self.peer.lock().unwrap();
        peer.asked += 1;
        peer.is_asked = true;
        Some(Probe::default())
    }

    fn end_probe(&mut self, _: Probe) {
        let mut peer = self.peer.lock().unwrap();
        peer.is_asked = false;
        if peer.is_there {
            peer.heard = Instant::now();
        }
    }
}

impl AsyncRead for Asked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

forward_async_write!(impl[] for Asked, io);

/// A connection with this key, its number, its peer, and what its system knows of the peer.
fn conn(key: u32, side: Side) -> (Conn<Asked>, ConnId, MemoryStream, Arc<Mutex<Peer>>) {
    let (io, stream) = memory::connection(64);
    let peer = Arc::new(Mutex::new(Peer {
        heard: Instant::now(),
        is_there: true,
        asked: 0,
        is_asked: false,
    }));
    let io = Asked {
        io,
        peer: Arc::clone(&peer),
    };
    let mut conn = Conn::new(io, Origin::Accepted).on(side);
    conn.info.extensions.insert(Key(key));
    let id = conn.info.id;
    (conn, id, stream, peer)
}

fn by_key() -> Keyed<u32> {
    Keyed::new(|info: &Info| info.extensions.get().map(|Key(key)| *key))
        .side(|info| info.side)
        .per_key(8, WhenFull::Refuse)
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_partner_of_one_that_vanished_is_joined_with_the_next() {
    let (mut slot, mut pairs) = rendezvous_keyed(Policy::default(), by_key());
    let (live, live_id, _live, _) = conn(1, Side::A);
    let (dead, _, mut dead_stream, dead_peer) = conn(1, Side::A);
    fill(&mut slot, live);
    fill(&mut slot, dead);
    let (other, other_id, _other, _) = conn(2, Side::A);
    fill(&mut slot, other);
    settle().await;
    dead_peer.lock().unwrap().is_there = false;
    tokio::time::advance(MINUTE).await;

    let begin = Instant::now();
    let (newcomer, newcomer_id, _newcomer, newcomer_peer) = conn(1, Side::B);
    fill(&mut slot, newcomer);
    assert_pending!(task::spawn(pairs.next()).poll());
    settle().await;
    // No other connection waits for that.
    let (partner, partner_id, _partner, _) = conn(2, Side::B);
    fill(&mut slot, partner);
    let pair = pairs.next().await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [other_id, partner_id]);
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );

    let pair = pairs.next().await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [live_id, newcomer_id]);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    hears_reset(&mut dead_stream).await;
    assert_eq!(pairs.counts().died(Side::A), 1);
    assert_eq!(dead_peer.lock().unwrap().asked, 1);
    assert!(!dead_peer.lock().unwrap().is_asked);
    // A newcomer has been heard of.
    assert!(newcomer_peer.lock().unwrap().asked <= 1);
}

#[tokio::test(start_paused = true)]
async fn peers_heard_of_just_now_are_joined_at_once() {
    let (mut slot, mut pairs) = rendezvous_keyed(Policy::default(), by_key());
    let (one, one_id, _one, one_peer) = conn(1, Side::A);
    let (two, two_id, _two, two_peer) = conn(1, Side::B);
    fill(&mut slot, one);
    tokio::time::advance(Duration::from_millis(900)).await;
    fill(&mut slot, two);
    let pair = next(&mut pairs).await;
    assert_eq!(joined(&pair).map(|info| info.id), [one_id, two_id]);
    assert_eq!(one_peer.lock().unwrap().asked, 0);
    assert_eq!(two_peer.lock().unwrap().asked, 0);
}

#[tokio::test(start_paused = true)]
async fn while_two_are_asked_their_key_is_taken() {
    let keyed = by_key().third(Third::Refuse);
    let (mut slot, mut pairs) = rendezvous_keyed(Policy::default(), keyed);
    let counts = pairs.counts();
    let (old, _, _old, old_peer) = conn(1, Side::A);
    old_peer.lock().unwrap().is_there = false;
    fill(&mut slot, old);
    settle().await;
    tokio::time::advance(MINUTE).await;
    let (new, _, _new, _) = conn(1, Side::B);
    fill(&mut slot, new);
    assert_pending!(task::spawn(pairs.next()).poll());
    until(|| old_peer.lock().unwrap().is_asked).await;
    let (third, _, mut third_stream, _) = conn(1, Side::A);
    fill(&mut slot, third);
    hears_reset(&mut third_stream).await;
    assert_eq!(counts.refused(Side::A, Refusal::Duplicate), 1);
    // The new one waits on, and the key is free again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (again, again_id, _again, _) = conn(1, Side::A);
    fill(&mut slot, again);
    let pair = pairs.next().await.unwrap().unwrap();
    assert_eq!(joined(&pair)[0].id, again_id);
}

#[tokio::test(start_paused = true)]
async fn without_keys_it_is_the_same() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (dead, _, mut dead_stream, dead_peer) = conn(0, Side::A);
    let (live, live_id, _live, live_peer) = conn(0, Side::A);
    fill(&mut a, dead);
    fill(&mut a, live);
    settle().await;
    dead_peer.lock().unwrap().is_there = false;
    tokio::time::advance(MINUTE).await;
    let (newcomer, newcomer_id, _newcomer, _) = conn(0, Side::B);
    fill(&mut b, newcomer);
    let begin = Instant::now();
    let pair = pairs.next().await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [live_id, newcomer_id]);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(live_peer.lock().unwrap().asked, 1);
    hears_reset(&mut dead_stream).await;
}
