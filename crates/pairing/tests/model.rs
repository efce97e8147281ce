//! A rendezvous against a simple model of it: whatever comes, speaks, leaves, is asked for and
//! runs out of time, in whatever order.

mod helper;

use std::{collections::VecDeque, pin::pin, task::Poll, time::Duration};

use couplet_endpoint::{ConnId, Replay, Side, memory::MemoryStream};
use couplet_pairing::{Pair, Pairs, Policy, Refusal, WaitSlot, WaitingCounts, rendezvous};
use futures::{StreamExt, poll};
use helper::{conn, hears_reset, joined, reset, settle, soon};
use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, advance},
};
use tower::{Service, ServiceExt};

const PLACES: usize = 3;
const WAIT: Duration = Duration::from_secs(10);
const EARLY: usize = 4;
/// The time within which a reset is noticed that wakes no task.
const NOTICED: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Step {
    Arrive(Side),
    /// One of those that wait there, counted from the oldest and over again, sends that many
    /// bytes.
    Speak(Side, usize, usize),
    Leave(Side, usize, Parting),
    Advance(Duration),
    Ask,
}

#[derive(Clone, Copy, Debug)]
enum Parting {
    /// Ends its stream, and goes on listening.
    Finish,
    Drop,
    Reset,
}

/// What ought to be so.
struct Model {
    sides: [ModelSide; 2],
    asked: bool,
}

#[derive(Default)]
struct ModelSide {
    queue: VecDeque<Waiting>,
    /// Connections with a certain fate.
    died: u64,
    expired: u64,
    /// Those whose reset nothing told, so that they may also have expired.
    died_or_expired: u64,
    evicted: u64,
    joined: u64,
    arrived: u64,
}

struct Waiting {
    id: ConnId,
    since: Instant,
    /// Until it has reset or dropped its connection.
    peer: Option<MemoryStream>,
    said: Vec<u8>,
    finished: bool,
    /// It was reset, and nothing tells but a look at it.
    gone: Option<Instant>,
}

impl Waiting {
    /// Its end of stream is seen, as no bytes that are not read ahead lie before it.
    fn has_ended(&self) -> bool {
        self.finished && self.said.len() < EARLY
    }
}

fn step() -> impl Strategy<Value = Step> {
    let side = || prop_oneof![Just(Side::A), Just(Side::B)];
    let parting = prop_oneof![
        Just(Parting::Finish),
        Just(Parting::Drop),
        Just(Parting::Reset)
    ];
    prop_oneof![
        4 => side().prop_map(Step::Arrive),
        3 => (side(), 0..PLACES, 1..2 * EARLY).prop_map(|(side, n, bytes)| Step::Speak(side, n, bytes)),
        3 => (side(), 0..PLACES, parting).prop_map(|(side, n, parting)| Step::Leave(side, n, parting)),
        2 => (1..6000_u64).prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        2 => Just(Step::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_rendezvous_does_as_the_model_does(steps in vec(step(), 1..80)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
            .block_on(drive(steps));
    }
}

async fn drive(steps: Vec<Step>) {
    let policy = Policy::default()
        .max_waiting(PLACES)
        .wait(Some(WAIT))
        .early(EARLY);
    let (mut a, mut b, mut pairs) = rendezvous(policy);
    let counts = pairs.counts();
    let mut model = Model {
        sides: Default::default(),
        asked: false,
    };
    for step in steps {
        match step {
            Step::Arrive(side) => {
                let place = match side {
                    Side::A => &mut a,
                    Side::B => &mut b,
                };
                model.side(side).arrive(place, counts.waiting(side)).await;
            }
            Step::Speak(side, nth, bytes) => model.side(side).speak(nth, bytes).await,
            Step::Leave(side, nth, parting) => model.side(side).leave(nth, parting).await,
            Step::Advance(time) => advance(time).await,
            Step::Ask => model.asked = true,
        }
        let pair = match model.asked {
            true => ask(&mut pairs).await,
            false => None,
        };
        settle().await;
        model.agrees(pair, &counts).await;
    }

    drop(pairs);
    settle().await;
    for (side, place) in [(Side::A, &mut a), (Side::B, &mut b)] {
        assert_eq!(counts.waiting(side), 0);
        assert!(soon(place.ready()).await.is_err());
        for waiting in &mut model.side(side).queue {
            if let Some(peer) = &mut waiting.peer {
                hears_reset(peer).await;
            }
        }
    }
}

/// The next pair, if it is there.
async fn ask<A, B>(pairs: &mut Pairs<A, B>) -> Option<Pair<A, B>>
where
    Pairs<A, B>: Unpin,
{
    let mut next = pin!(pairs.next());
    for _ in 0..2 {
        if let Poll::Ready(item) = poll!(next.as_mut()) {
            let Ok(pair) = item.expect("the pairing goes on");
            return Some(pair);
        }
        settle().await;
    }
    None
}

// ===== impl Model =====

impl Model {
    fn side(&mut self, side: Side) -> &mut ModelSide {
        &mut self.sides[side as usize]
    }

    async fn agrees(
        &mut self,
        pair: Option<Pair<Replay<MemoryStream>, Replay<MemoryStream>>>,
        counts: &WaitingCounts,
    ) {
        for side in [Side::A, Side::B] {
            let evicted = counts.refused(side, Refusal::Evicted);
            self.side(side).evict(evicted);
            self.side(side).pass_time();
        }
        let due = self.asked && self.sides.iter().all(ModelSide::has_living);
        assert_eq!(pair.is_some(), due, "a pair is due, and only then");
        if let Some(mut pair) = pair {
            self.asked = false;
            let [a, b] = [Side::A, Side::B].map(|side| self.side(side).join());
            assert_eq!(joined(&pair).map(|info| info.id), [a.id, b.id]);
            hears(&mut pair.a, &a.said).await;
            hears(&mut pair.b, &b.said).await;
        }
        for side in [Side::A, Side::B] {
            self.side(side).assert_counts(
                counts.waiting(side),
                counts.died(side),
                counts.expired(side),
            );
        }
    }
}

async fn hears(io: &mut Replay<MemoryStream>, said: &[u8]) {
    let mut heard = vec![0; said.len()];
    soon(io.read_exact(&mut heard)).await.expect("it is heard");
    assert_eq!(heard, said);
}

// ===== impl ModelSide =====

impl ModelSide {
    async fn arrive(&mut self, place: &mut WaitSlot<MemoryStream>, waiting: u64) {
        let ready = poll!(pin!(place.ready())).is_ready();
        // Of those that were reset some may have been noticed.
        let ended = |is_gone: bool| {
            let ended = self.queue.iter().filter(|waiting| waiting.has_ended());
            let ended = ended.filter(|waiting| waiting.gone.is_some() == is_gone);
            ended.count() as u64
        };
        let most = waiting.saturating_sub(ended(false));
        let least = most.saturating_sub(ended(true));
        let places = PLACES as u64;
        assert!(
            if ready {
                least < places
            } else {
                most >= places
            },
            "as many as there are slots, without those that have ended"
        );
        if !ready {
            return;
        }
        let (conn, peer) = conn();
        self.arrived += 1;
        self.queue.push_back(Waiting {
            id: conn.info.id,
            since: Instant::now(),
            peer: Some(peer),
            said: Vec::new(),
            finished: false,
            gone: None,
        });
        place.call(conn).await.expect("the pairing goes on");
    }

    /// One of those that wait and can still do something.
    fn nth(&mut self, n: usize) -> Option<(usize, &mut Waiting)> {
        let able = |waiting: &Waiting| waiting.peer.is_some();
        let count = self.queue.iter().filter(|waiting| able(waiting)).count();
        self.queue
            .iter_mut()
            .enumerate()
            .filter(|(_, waiting)| able(waiting))
            .nth(n.checked_rem(count)?)
    }

    async fn speak(&mut self, nth: usize, bytes: usize) {
        if let Some((_, waiting)) = self.nth(nth)
            && !waiting.finished
            && let Some(peer) = &mut waiting.peer
        {
            let from = waiting.said.len();
            waiting.said.extend((from..from + bytes).map(|n| n as u8));
            soon(peer.write_all(&waiting.said[from..]))
                .await
                .expect("it is heard");
        }
    }

    async fn leave(&mut self, nth: usize, parting: Parting) {
        let Some((index, waiting)) = self.nth(nth) else {
            return;
        };
        let spoke = !waiting.said.is_empty();
        let told = !waiting.finished && waiting.said.len() < EARLY;
        let stays = match parting {
            Parting::Finish => {
                waiting.finished = true;
                if let Some(peer) = &mut waiting.peer {
                    peer.shutdown().await.expect("it ends");
                }
                spoke
            }
            Parting::Drop => {
                waiting.finished = true;
                waiting.peer = None;
                spoke
            }
            Parting::Reset => {
                if let Some(peer) = waiting.peer.take() {
                    reset(peer);
                }
                waiting.gone = Some(Instant::now());
                !told
            }
        };
        if !stays {
            self.queue.remove(index);
            self.died += 1;
        }
    }

    /// Beyond as many as there are slots the oldest that has ended gives way.
    fn evict(&mut self, evicted: u64) {
        let has_ended = |waiting: &Waiting| waiting.has_ended();
        while self.evicted < evicted {
            let ended = self.queue.iter().filter(|waiting| has_ended(waiting));
            assert!(ended.count() > PLACES);
            let oldest = self.queue.iter().position(has_ended).expect("one has");
            self.queue.remove(oldest);
            self.evicted += 1;
        }
        let lives = |waiting: &&Waiting| waiting.has_ended() && waiting.gone.is_none();
        assert!(self.queue.iter().filter(lives).count() <= PLACES);
    }

    /// Reset connections are noticed, and connections that have waited too long expire.
    fn pass_time(&mut self) {
        let now = Instant::now();
        self.queue.retain(|waiting| {
            let expired = now >= waiting.since + WAIT;
            match waiting.gone {
                Some(at) if expired || now >= at + NOTICED => self.died_or_expired += 1,
                None if expired => self.expired += 1,
                _ => return true,
            }
            false
        });
    }

    fn has_living(&self) -> bool {
        self.queue.iter().any(|waiting| waiting.gone.is_none())
    }

    /// The oldest that lives leaves; those before it are seen to be dead.
    fn join(&mut self) -> Waiting {
        loop {
            let oldest = self.queue.pop_front().expect("one lives");
            if oldest.gone.is_none() {
                self.joined += 1;
                return oldest;
            }
            self.died += 1;
        }
    }

    fn assert_counts(&self, waiting: u64, died: u64, expired: u64) {
        let living = self.queue.iter().filter(|waiting| waiting.gone.is_none());
        let (living, queued) = (living.count() as u64, self.queue.len() as u64);
        assert!((living..=queued).contains(&waiting), "{waiting} wait");
        assert!(died >= self.died, "{died} died");
        assert!(expired >= self.expired, "{expired} expired");
        let left = self.died + self.expired + self.died_or_expired;
        let unnoticed = queued - living;
        assert!((left..=left + unnoticed).contains(&(died + expired)));
        assert_eq!(
            self.arrived,
            waiting + died + expired + self.evicted + self.joined,
            "nobody is lost"
        );
    }
}
