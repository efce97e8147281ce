//! Joined by a key: what refused connections are told, the end, and many at a time.

mod helper;

use std::{
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use couplet_endpoint::{
    Conn, Info, Io, Origin, Side, forward_async_write, memory, memory::MemoryStream,
};
use couplet_pairing::{Keyed, Policy, Refusal, Third, WaitSlot, WhenFull, rendezvous_keyed};
use futures::StreamExt;
use helper::{by_key::*, conn, fill, hears_reset, joined, next, settle, soon, until};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::advance,
};
use tokio_test::{assert_pending, assert_ready_err, task};
use tower::ServiceExt;

// ===== the reply =====

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_the_reply_holds_up_no_other() {
    let policy = Policy::default().max_waiting(2);
    let rule = by_key().refusal_reply(SECOND, |_, _| Some(vec![b'!'; 4096].into()));
    let mut ends = keyed(policy, rule);
    let (first, _first_peer) = arrive(&mut ends.0, 0);
    let (_, _second_peer) = arrive(&mut ends.0, 1);
    let mut deaf = Vec::new();
    for key in 2..100 {
        deaf.push(arrive(&mut ends.0, key).1);
        settle().await;
    }
    assert_eq!(refused(&ends.1.counts(), Refusal::Full), 98);
    // Twice as many are told as may wait, and those no longer than they may take.
    for (n, peer) in deaf.iter_mut().enumerate() {
        match n < 4 {
            true => assert_eq!(soon(peer.read(&mut [0])).await.expect("no reset"), 1),
            false => hears_reset(peer).await,
        }
    }
    let (partner, _partner_peer) = arrive(&mut ends.0, 0);
    assert_eq!(next_ids(&mut ends).await, [first, partner]);
    advance(SECOND).await;
    settle().await;
    let words = reply_to(&mut deaf[0]).await;
    assert!(words.len() < 4095, "it was cut off");
    let (_, _third_peer) = arrive(&mut ends.0, 100);
    let (_, mut listens) = arrive(&mut ends.0, 101);
    assert_eq!(reply_to(&mut listens).await.len(), 4096);
}

#[tokio::test(start_paused = true)]
async fn after_the_reply_the_peer_has_time_to_read_it() {
    let rule = by_key().refusal_reply(SECOND, |_, _| Some("bye\n".into()));
    let (mut place, _pairs) = keyed(Policy::default(), rule);
    let (no_key, mut peer) = conn();
    fill(&mut place, no_key);
    settle().await;
    peer.write_all(b"what it has still to say")
        .await
        .expect("it is read");
    assert_eq!(reply_to(&mut peer).await, "bye\n");
    peer.write_all(&[0; 60_000])
        .await
        .expect("it is read, until the time is over");
    advance(SECOND).await;
    settle().await;
    assert!(peer.write_all(b"?").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_a_reply_a_connection_is_reset_at_once() {
    let rule = by_key().refusal_reply(SECOND, |_, _| None);
    let (mut place, _pairs) = keyed(Policy::default(), rule);
    let (no_key, mut peer) = conn();
    fill(&mut place, no_key);
    hears_reset(&mut peer).await;
    assert!(peer.write_all(b"?").await.is_err());
}

// ===== the end =====

#[tokio::test(start_paused = true)]
async fn the_pairing_ends_when_its_pairs_are_dropped() {
    let (mut place, pairs) = keyed(Policy::default(), by_key());
    let (_, mut peer) = arrive(&mut place, 1);
    settle().await;
    drop(pairs);
    hears_reset(&mut peer).await;
    assert_ready_err!(task::spawn(place.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_no_connection_can_come_and_no_pair_can_be_made() {
    let (mut place, mut pairs) = keyed(Policy::default(), by_key().third(Third::Refuse));
    let peers = [1, 2, 1].map(|key| arrive(&mut place, key));
    drop(place);
    settle().await;
    let pair = soon(pairs.next()).await;
    // Even while a session lasts whose key is remembered.
    assert!(soon(pairs.next()).await.is_none());
    let [_, (_, mut alone), _] = peers;
    hears_reset(&mut alone).await;
    drop(pair);
}

/// Yields a byte, and wakes no task, when it is polled that often.
#[derive(Debug)]
struct Says {
    io: MemoryStream,
    at_look: usize,
    looks: usize,
}

impl Io for Says {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }
}

impl AsyncRead for Says {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.looks += 1;
        if self.looks == self.at_look {
            buf.put_slice(b"x");
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

forward_async_write!(impl[] for Says, io);

#[tokio::test(start_paused = true)]
async fn when_the_last_reply_is_sent_the_pairs_end() {
    let rule = by_key().silent();
    let (mut place, mut pairs) = rendezvous_keyed(Policy::default().wait(None), rule);
    // The second of them is found to have spoken at the join, and no sooner.
    let [quiet, mut spoke] = [usize::MAX, 2].map(|at_look| {
        let (io, peer) = memory::connection(64);
        let says = Says {
            io,
            at_look,
            looks: 0,
        };
        let mut conn = Conn::new(says, Origin::Accepted);
        conn.info.extensions.insert(Key(1));
        fill(&mut place, conn);
        peer
    });
    drop(place);
    assert_pending!(task::spawn(pairs.next()).poll());
    assert_eq!(
        reply_to(&mut spoke).await,
        "sent a byte before it was joined"
    );
    drop(spoke);
    assert!(soon(pairs.next()).await.is_none());
    drop(quiet);
}

// ===== many =====

/// Counts how often it is read from.
struct Counting {
    io: MemoryStream,
    reads: Arc<AtomicUsize>,
}

impl Io for Counting {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

forward_async_write!(impl[] for Counting, io);

/// A key that counts how often it is compared.
#[derive(Clone)]
struct Compared(u32, Arc<AtomicUsize>);

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0 == other.0
    }
}

impl Eq for Compared {}

impl Hash for Compared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_wait_and_a_join_looks_at_two() {
    const MANY: u32 = 100_000;
    let reads = Arc::<AtomicUsize>::default();
    let policy = Policy::default().max_waiting(MANY as usize);
    let compared = Arc::<AtomicUsize>::default();
    let compares = Arc::clone(&compared);
    let key = move |info: &Info| {
        let Key(key) = info.extensions.get()?;
        Some(Compared(*key, Arc::clone(&compares)))
    };
    let rule = Keyed::new(key).when_full(WhenFull::Evict);
    let (mut place, mut pairs) = rendezvous_keyed(policy, rule);
    let arrive = |place: &mut WaitSlot<Counting>, key| {
        let (io, peer) = memory::connection(8);
        let reads = Arc::clone(&reads);
        let mut conn = Conn::new(Counting { io, reads }, Origin::Accepted);
        conn.info.extensions.insert(Key(key));
        fill(place, conn);
        peer
    };
    let counts = pairs.counts();
    let mut peers = Vec::new();
    for key in 0..MANY {
        peers.push(arrive(&mut place, key));
        if key % 1000 == 0 {
            settle().await;
            // A hash table seldom looks at a key that is not the one.
            let compared = compared.load(Ordering::Relaxed);
            assert!(compared <= 1000 + key as usize, "{compared} for {key}");
        }
    }
    until(|| counts.waiting(Side::A) == u64::from(MANY)).await;
    assert_eq!(reads.swap(0, Ordering::Relaxed), MANY as usize);

    compared.store(0, Ordering::Relaxed);
    // From the middle, so that a scan from either end would be seen.
    for key in MANY / 2..MANY / 2 + 100 {
        let _partner = arrive(&mut place, key);
        let pair = next(&mut pairs).await;
        assert_eq!(
            joined(&pair).map(|info| info.extensions.get().map(|Key(key)| *key)),
            [Some(key); 2]
        );
        // The newcomer as it comes, and both at the join.
        assert_eq!(reads.swap(0, Ordering::Relaxed), 3);
    }
    // Nor does any other's leaving.
    drop(peers.swap_remove(7));
    until(|| counts.died(Side::A) == 1).await;
    assert_eq!(reads.swap(0, Ordering::Relaxed), 1);
    assert_eq!(counts.waiting(Side::A), u64::from(MANY) - 101);
    // And the oldest is at hand.
    for key in MANY..MANY + 201 {
        peers.push(arrive(&mut place, key));
    }
    until(|| counts.refused(Side::A, Refusal::Evicted) == 100).await;
    assert_eq!(reads.load(Ordering::Relaxed), 201 + 100);
    let compared = compared.load(Ordering::Relaxed);
    assert!(compared < 8000, "{compared}");
}
