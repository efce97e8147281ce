//! Joined by a key.

mod helper;

use std::{
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{
    Conn, ConnId, Info, Io, Origin, Replay, Side, forward_async_write, memory, memory::MemoryStream,
};
use couplet_pairing::{
    CloseReason, Keyed, Pairs, Place, Policy, Refusal, Third, WaitingCounts, WhenFull,
    rendezvous_keyed,
};
use futures::StreamExt;
use helper::{conn, fill, hears_reset, joined, next, reset, settle, soon, until};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::advance,
};
use tokio_test::{assert_pending, assert_ready_err, task};
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

/// What a handshake has found out.
struct Key(u32);
struct Who(&'static str);

type Ends = (
    Place<MemoryStream>,
    Pairs<Replay<MemoryStream>, Replay<MemoryStream>>,
);

/// By key alone; whoever is refused is told why.
fn by_key() -> Keyed<u32> {
    Keyed::new(|info: &Info| info.extensions.get().map(|Key(key)| *key))
        .farewell(SECOND, |_, refusal| Some(refusal.to_string().into()))
}

/// By key, and never two of the same name.
fn by_key_and_name() -> Keyed<u32, &'static str> {
    by_key().side(|info| info.extensions.get().map(|Who(name)| *name))
}

fn keyed<S: Eq + Clone + Send + 'static>(policy: Policy, keyed: Keyed<u32, S>) -> Ends {
    rendezvous_keyed(policy, keyed)
}

/// One comes: its number, and its peer.
fn arrive(place: &mut Place<MemoryStream>, key: u32) -> (ConnId, MemoryStream) {
    arrive_as(place, key, None)
}

fn arrive_as(
    place: &mut Place<MemoryStream>,
    key: u32,
    name: impl Into<Option<&'static str>>,
) -> (ConnId, MemoryStream) {
    let (mut conn, peer) = conn();
    conn.info.extensions.insert(Key(key));
    if let Some(name) = name.into() {
        conn.info.extensions.insert(Who(name));
    }
    let id = conn.info.id;
    fill(place, conn);
    (id, peer)
}

async fn next_ids(pairs: &mut Ends) -> [ConnId; 2] {
    joined(&next(&mut pairs.1).await).map(|info| info.id)
}

fn refused(counts: &WaitingCounts, refusal: Refusal) -> u64 {
    counts.refused(Side::A, refusal)
}

/// The last words a peer hears.
async fn last_words(peer: &mut MemoryStream) -> String {
    let mut heard = String::new();
    soon(peer.read_to_string(&mut heard))
        .await
        .expect("no reset");
    heard
}

#[track_caller]
fn assert_waits(peer: &mut MemoryStream) {
    assert_pending!(task::spawn(peer.read(&mut [0])).poll());
}

// ===== who meets whom =====

#[tokio::test(start_paused = true)]
async fn those_with_the_same_key_are_joined() {
    let mut ends = keyed(Policy::default(), by_key());
    let arrivals = [1, 2, 3, 3, 1, 2].map(|key| arrive(&mut ends.0, key));
    let ids = arrivals.each_ref().map(|(id, _)| *id);
    for expected in [[2, 3], [0, 4], [1, 5]] {
        assert_eq!(next_ids(&mut ends).await, expected.map(|n| ids[n]));
    }
    assert_pending!(task::spawn(ends.1.next()).poll());
    assert_eq!(ends.1.counts().waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn never_two_of_the_same_side() {
    let policy = Policy::default();
    let mut ends = keyed(policy, by_key_and_name().per_key(2, WhenFull::Refuse));
    let (first, _first_peer) = arrive_as(&mut ends.0, 1, "ann");
    let (second, _second_peer) = arrive_as(&mut ends.0, 1, "ann");
    assert_pending!(task::spawn(ends.1.next()).poll());
    settle().await;
    assert_pending!(task::spawn(ends.1.next()).poll());
    let (bob, _third_peer) = arrive_as(&mut ends.0, 1, "bob");
    assert_eq!(next_ids(&mut ends).await, [first, bob]);
    // Who does not say may meet any.
    let (any, _fourth_peer) = arrive_as(&mut ends.0, 1, None);
    assert_eq!(next_ids(&mut ends).await, [second, any]);
}

#[tokio::test(start_paused = true)]
async fn who_is_on_side_a_is_a_and_else_the_older() {
    let sided = by_key().side(|info| info.side);
    for (older, newer, in_order) in [
        (Some(Side::B), Some(Side::A), false),
        (Some(Side::A), Some(Side::B), true),
        (None, Some(Side::A), false),
        (Some(Side::B), None, false),
        (None, None, true),
    ] {
        let (mut place, mut pairs) = keyed(Policy::default(), sided.clone());
        let mut ids = [older, newer].map(|side| {
            let (mut conn, peer) = conn();
            conn.info.side = side;
            conn.info.extensions.insert(Key(1));
            let id = conn.info.id;
            fill(&mut place, conn);
            (id, peer)
        });
        if !in_order {
            ids.reverse();
        }
        let pair = next(&mut pairs).await;
        assert_eq!(
            joined(&pair).map(|info| info.id),
            ids.each_ref().map(|(id, _)| *id)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whose_partner_dies_before_the_join_meets_another() {
    let policy = Policy::default().early(1);
    let mut ends = keyed(policy, by_key_and_name().per_key(2, WhenFull::Refuse));
    let counts = ends.1.counts();
    let (_, leaves) = arrive_as(&mut ends.0, 1, "ann");
    let (bob, _bob_peer) = arrive_as(&mut ends.0, 1, "bob");
    settle().await;
    // It is noticed while nobody asks.
    drop(leaves);
    until(|| counts.died(Side::A) == 1).await;
    assert_eq!(counts.waiting(Side::A), 1);
    let (_, mut leaves) = arrive_as(&mut ends.0, 1, "ann");
    leaves.write_all(b"x").await.expect("it is heard");
    let (other, _other_peer) = arrive_as(&mut ends.0, 1, "ann");
    settle().await;
    // And at the join, where nothing else tells it.
    reset(leaves);
    settle().await;
    assert_eq!(counts.died(Side::A), 1);
    assert_eq!(next_ids(&mut ends).await, [bob, other]);
    assert_eq!(counts.died(Side::A), 2);
    assert_eq!(counts.waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn early_bytes_are_kept_or_refused() {
    for silent in [false, true] {
        let rule = if silent { by_key().silent() } else { by_key() };
        let mut ends = keyed(Policy::default(), rule);
        let (_, mut speaks) = arrive(&mut ends.0, 1);
        settle().await;
        speaks.write_all(b"hello").await.expect("it is heard");
        if silent {
            assert_eq!(
                last_words(&mut speaks).await,
                "sent a byte before it was joined"
            );
            assert_eq!(refused(&ends.1.counts(), Refusal::Impatient), 1);
        }
        let (_, _peer) = arrive(&mut ends.0, 1);
        if silent {
            // Even where a partner is there already.
            let (mut conn, mut speaks) = conn();
            conn.info.extensions.insert(Key(1));
            speaks.write_all(b"hello").await.expect("it is heard");
            fill(&mut ends.0, conn);
            assert_eq!(
                last_words(&mut speaks).await,
                "sent a byte before it was joined"
            );
            assert_pending!(task::spawn(ends.1.next()).poll());
        } else {
            let mut heard = [0; 5];
            let mut pair = next(&mut ends.1).await;
            soon(pair.a.read_exact(&mut heard))
                .await
                .expect("it is heard");
            assert_eq!(&heard, b"hello");
        }
    }
}

// ===== who is refused =====

#[tokio::test(start_paused = true)]
async fn without_a_key_one_is_refused() {
    let (mut place, pairs) = keyed(Policy::default(), by_key());
    let (conn, mut peer) = conn();
    fill(&mut place, conn);
    assert_eq!(last_words(&mut peer).await, "no key, or an unknown one");
    assert_eq!(refused(&pairs.counts(), Refusal::UnknownKey), 1);
    assert_eq!(pairs.counts().waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_its_places_it_takes_in_only_partners() {
    let mut ends = keyed(Policy::default().places(2), by_key());
    let counts = ends.1.counts();
    let (first, _first_peer) = arrive(&mut ends.0, 1);
    let (_, mut second) = arrive(&mut ends.0, 2);
    let (_, mut third) = arrive(&mut ends.0, 3);
    assert_eq!(last_words(&mut third).await, "too many connections wait");
    drop(third);
    assert_eq!(counts.waiting(Side::A), 2);
    let (partner, _second_peer) = arrive(&mut ends.0, 1);
    settle().await;
    assert_eq!(counts.waiting(Side::A), 3);
    // Now one is alone, so there is room for one.
    let (_, mut fourth) = arrive(&mut ends.0, 4);
    settle().await;
    assert_waits(&mut fourth);
    assert_waits(&mut second);
    assert_eq!(next_ids(&mut ends).await, [first, partner]);
    assert_eq!(refused(&counts, Refusal::Full), 1);
}

#[tokio::test(start_paused = true)]
async fn or_the_oldest_gives_way() {
    let rule = by_key().when_full(WhenFull::Evict);
    let (mut place, pairs) = keyed(Policy::default().places(2), rule);
    let mut peers = [1, 2, 3].map(|key| arrive(&mut place, key).1);
    assert_eq!(
        last_words(&mut peers[0]).await,
        "gave way to a newer connection"
    );
    assert_waits(&mut peers[1]);
    assert_waits(&mut peers[2]);
    assert_eq!(refused(&pairs.counts(), Refusal::Evicted), 1);
}

#[tokio::test(start_paused = true)]
async fn of_one_key_only_so_many_wait() {
    for (when_full, refusal) in [
        (WhenFull::Refuse, Refusal::Duplicate),
        (WhenFull::Evict, Refusal::Replaced),
    ] {
        let rule = by_key_and_name().per_key(2, when_full);
        let (mut place, pairs) = keyed(Policy::default(), rule);
        let mut peers = [(); 3].map(|()| arrive_as(&mut place, 1, "ann").1);
        let (_, mut other_key) = arrive_as(&mut place, 2, "ann");
        let (goes, stays) = match when_full {
            WhenFull::Refuse => (2, [0, 1]),
            WhenFull::Evict => (0, [1, 2]),
        };
        assert_eq!(last_words(&mut peers[goes]).await, refusal.to_string());
        for n in stays {
            assert_waits(&mut peers[n]);
        }
        assert_waits(&mut other_key);
        assert_eq!(refused(&pairs.counts(), refusal), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_dead_take_up_no_room() {
    let (mut place, pairs) = keyed(Policy::default().early(1), by_key_and_name());
    let (_, mut dead) = arrive_as(&mut place, 1, "ann");
    dead.write_all(b"x").await.expect("it is heard");
    settle().await;
    reset(dead);
    let (_, mut again) = arrive_as(&mut place, 1, "ann");
    settle().await;
    assert_waits(&mut again);
    assert_eq!(pairs.counts().died(Side::A), 1);
    assert_eq!(pairs.counts().turned_away(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn a_third_is_refused_while_two_are_joined() {
    let mut ends = keyed(Policy::default(), by_key().third(Third::Refuse));
    let (_, _first_peer) = arrive(&mut ends.0, 1);
    let (_, _second_peer) = arrive(&mut ends.0, 1);
    // Before the join.
    let (_, mut third) = arrive(&mut ends.0, 1);
    assert_eq!(
        last_words(&mut third).await,
        "too many connections with the same key"
    );
    // And as long as it lasts.
    let pair = next(&mut ends.1).await;
    let (_, mut third) = arrive(&mut ends.0, 1);
    assert_eq!(
        last_words(&mut third).await,
        "too many connections with the same key"
    );
    let (_, mut another_key) = arrive(&mut ends.0, 2);
    pair.session.end(CloseReason::Closed);
    settle().await;
    let (_, mut later) = arrive(&mut ends.0, 1);
    settle().await;
    assert_waits(&mut later);
    assert_waits(&mut another_key);
}

#[tokio::test(start_paused = true)]
async fn those_left_over_at_the_join_are_let_go() {
    let rule = by_key_and_name()
        .per_key(3, WhenFull::Refuse)
        .third(Third::LetGo);
    let mut ends = keyed(Policy::default(), rule);
    let mut spare = [(); 3].map(|()| arrive_as(&mut ends.0, 1, "ann"));
    let (_, mut other_key) = arrive_as(&mut ends.0, 2, "ann");
    let (bob, _bob_peer) = arrive_as(&mut ends.0, 1, "bob");
    assert_eq!(next_ids(&mut ends).await, [spare[0].0, bob]);
    for (_, peer) in &mut spare[1..] {
        assert_eq!(
            last_words(peer).await,
            "others with the same key were joined"
        );
    }
    assert_eq!(refused(&ends.1.counts(), Refusal::Redundant), 2);
    assert_waits(&mut other_key);
}

#[tokio::test(start_paused = true)]
async fn no_partner_in_time() {
    let (mut place, pairs) = keyed(Policy::default().wait(Some(10 * SECOND)), by_key());
    let (_, mut first) = arrive(&mut place, 1);
    settle().await;
    advance(4 * SECOND).await;
    let (_, mut second) = arrive(&mut place, 2);
    settle().await;
    advance(6 * SECOND).await;
    assert_eq!(last_words(&mut first).await, "no partner came in time");
    assert_waits(&mut second);
    let counts = pairs.counts();
    assert_eq!(counts.expired(Side::A), 1);
    assert_eq!(counts.waited(Side::A, Refusal::Expired), 10 * SECOND);
    // Nobody is there for it any more.
    let (_, mut late) = arrive(&mut place, 1);
    settle().await;
    assert_waits(&mut late);
}

// ===== the farewell =====

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_to_a_farewell_holds_up_nobody() {
    let policy = Policy::default().places(2);
    let rule = by_key().farewell(SECOND, |_, _| Some(vec![b'!'; 4096].into()));
    let mut ends = keyed(policy, rule);
    let (first, _first_peer) = arrive(&mut ends.0, 0);
    let (_, _second_peer) = arrive(&mut ends.0, 1);
    let mut deaf = Vec::new();
    for key in 2..100 {
        deaf.push(arrive(&mut ends.0, key).1);
        settle().await;
    }
    assert_eq!(refused(&ends.1.counts(), Refusal::Full), 98);
    // Twice as many are told as there are places, and those no longer than they may take.
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
    let words = last_words(&mut deaf[0]).await;
    assert!(words.len() < 4095, "it was cut off");
    let (_, _third_peer) = arrive(&mut ends.0, 100);
    let (_, mut listens) = arrive(&mut ends.0, 101);
    assert_eq!(last_words(&mut listens).await.len(), 4096);
}

#[tokio::test(start_paused = true)]
async fn after_a_farewell_the_peer_has_time_to_hear_it() {
    let rule = by_key().farewell(SECOND, |_, _| Some("bye\n".into()));
    let (mut place, _pairs) = keyed(Policy::default(), rule);
    let (no_key, mut peer) = conn();
    fill(&mut place, no_key);
    settle().await;
    peer.write_all(b"what it has still to say")
        .await
        .expect("it is read");
    assert_eq!(last_words(&mut peer).await, "bye\n");
    peer.write_all(&[0; 60_000])
        .await
        .expect("it is read, until the time is over");
    advance(SECOND).await;
    settle().await;
    assert!(peer.write_all(b"?").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_is_to_be_told_nothing_is_dropped_at_once() {
    let rule = by_key().farewell(SECOND, |_, _| None);
    let (mut place, _pairs) = keyed(Policy::default(), rule);
    let (no_key, mut peer) = conn();
    fill(&mut place, no_key);
    hears_reset(&mut peer).await;
    assert!(peer.write_all(b"?").await.is_err());
}

// ===== the end =====

#[tokio::test(start_paused = true)]
async fn without_its_pairs_it_ends() {
    let (mut place, pairs) = keyed(Policy::default(), by_key());
    let (_, mut peer) = arrive(&mut place, 1);
    settle().await;
    drop(pairs);
    hears_reset(&mut peer).await;
    assert_ready_err!(task::spawn(place.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_nobody_can_come_and_none_can_be_made() {
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

/// Says a byte, and wakes nobody, when it is looked at as often as that.
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
async fn when_the_last_farewell_is_said_the_pairs_end() {
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
        last_words(&mut spoke).await,
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
    let policy = Policy::default().places(MANY as usize);
    let compared = Arc::<AtomicUsize>::default();
    let compares = Arc::clone(&compared);
    let key = move |info: &Info| {
        let Key(key) = info.extensions.get()?;
        Some(Compared(*key, Arc::clone(&compares)))
    };
    let rule = Keyed::new(key).when_full(WhenFull::Evict);
    let (mut place, mut pairs) = rendezvous_keyed(policy, rule);
    let arrive = |place: &mut Place<Counting>, key| {
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
    // Nor does anybody's leaving.
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
