//! A keyed rendezvous against what must hold of it: whatever comes with whatever key, speaks,
//! leaves, is asked for and runs out of time, in whatever order.

mod helper;

use std::{collections::BTreeMap, pin::pin, task::Poll, time::Duration};

use couplet_endpoint::{ConnId, Info, Replay, Side, memory::MemoryStream};
use couplet_pairing::{
    Keyed, OwnedSession, Pair, Pairs, Policy, Refusal, Third, WaitSlot, WaitingCounts, WhenFull,
    rendezvous_keyed,
};
use futures::{FutureExt, StreamExt, poll};
use helper::{conn, joined, reset, settle, soon};
use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, advance},
};
use tower::{Service, ServiceExt};

const PLACES: usize = 4;
const WAIT: Duration = Duration::from_secs(10);
const EARLY: usize = 4;
/// The time within which a reset is noticed that wakes no task.
const NOTICED: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Rules {
    per_key: usize,
    key_full: WhenFull,
    full: WhenFull,
    third: Third,
    silent: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(Tag),
    /// One of those that may still wait, counted from the oldest and over again, sends that many
    /// bytes.
    Speak(usize, usize),
    Leave(usize, Parting),
    Advance(Duration),
    Ask,
    /// The oldest of the live sessions ends.
    End,
}

/// What a handshake has found out: a key, or none, and a side, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tag {
    key: Option<u8>,
    side: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Parting {
    /// Ends its stream, and goes on listening.
    Finish,
    Drop,
    Reset,
}

/// What is known from outside.
struct Model {
    rules: Rules,
    /// Connections that came and of which nothing else is known, in the order of their arrival.
    open: BTreeMap<ConnId, Peer>,
    /// Connections that left, perhaps not noticed yet.
    leaving: u64,
    live: Vec<(u8, OwnedSession)>,
    asked: bool,
    arrived: u64,
    joined: u64,
    refused: Vec<Refusal>,
}

struct Peer {
    tag: Tag,
    since: Instant,
    io: MemoryStream,
    said: Vec<u8>,
    finished: bool,
}

fn rules() -> impl Strategy<Value = Rules> {
    let when_full = || prop_oneof![Just(WhenFull::Refuse), Just(WhenFull::Evict)];
    let third = prop_oneof![Just(Third::Queue), Just(Third::Refuse), Just(Third::LetGo)];
    (1..4_usize, when_full(), when_full(), third, any::<bool>()).prop_map(
        |(per_key, key_full, full, third, silent)| Rules {
            per_key,
            key_full,
            full,
            third,
            silent,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop_oneof![9 => (0..3_u8).prop_map(Some), 1 => Just(None)];
    let side = prop_oneof![1 => Just(None), 4 => (0..2_u8).prop_map(Some)];
    let parting = prop_oneof![
        Just(Parting::Finish),
        Just(Parting::Drop),
        Just(Parting::Reset)
    ];
    prop_oneof![
        6 => (key, side).prop_map(|(key, side)| Step::Arrive(Tag { key, side })),
        2 => (0..PLACES, 1..2 * EARLY).prop_map(|(n, bytes)| Step::Speak(n, bytes)),
        2 => (0..PLACES, parting).prop_map(|(n, parting)| Step::Leave(n, parting)),
        2 => (1..6000_u64).prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        3 => Just(Step::Ask),
        1 => Just(Step::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_connection_is_joined_wrongly_and_none_is_lost(
        rules in rules(),
        steps in vec(step(), 1..100),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
            .block_on(drive(rules, steps));
    }
}

async fn drive(rules: Rules, steps: Vec<Step>) {
    let policy = Policy::default()
        .max_waiting(PLACES)
        .wait(Some(WAIT))
        .early(EARLY);
    let get = |info: &Info| *info.extensions.get::<Tag>().expect("all have one");
    let mut keyed = Keyed::new(move |info| get(info).key)
        .side(move |info| get(info).side)
        .per_key(rules.per_key, rules.key_full)
        .when_full(rules.full)
        .third(rules.third)
        .refusal_reply(FAREWELL, |_, refusal| Some(refusal.to_string().into()));
    if rules.silent {
        keyed = keyed.silent();
    }
    let (mut place, mut pairs) = rendezvous_keyed(policy, keyed);
    let counts = pairs.counts();
    let mut model = Model {
        rules,
        open: BTreeMap::new(),
        leaving: 0,
        live: Vec::new(),
        asked: false,
        arrived: 0,
        joined: 0,
        refused: Vec::new(),
    };
    for step in steps {
        match step {
            Step::Arrive(tag) => model.arrive(&mut place, tag).await,
            Step::Speak(nth, bytes) => model.speak(nth, bytes).await,
            Step::Leave(nth, parting) => model.leave(nth, parting).await,
            Step::Advance(time) => advance(time).await,
            Step::Ask => model.asked = true,
            Step::End if !model.live.is_empty() => drop(model.live.remove(0)),
            Step::End => {}
        }
        settle().await;
        model.receive_replies(&counts);
        settle().await;
        if model.asked
            && let Some(pair) = ask(&mut pairs).await
        {
            model.asked = false;
            model.join(pair).await;
            settle().await;
            model.receive_replies(&counts);
        }
        model.agrees(&counts);
    }

    // In the end no connection waits, and every one is accounted for.
    advance(WAIT + NOTICED + FAREWELL).await;
    settle().await;
    model.receive_replies(&counts);
    assert!(model.open.is_empty(), "all have been told");
    assert_eq!(counts.waiting(Side::A), 0);
    assert_eq!(model.arrived, model.joined + model.left(&counts));
}

/// The next pair, if it is there.
async fn ask<I>(pairs: &mut Pairs<I, I>) -> Option<Pair<I, I>>
where
    Pairs<I, I>: Unpin,
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

// ===== impl Tag =====

impl Tag {
    fn meets(self, other: Self) -> bool {
        self.key == other.key
            && (self.side.is_none() || other.side.is_none() || self.side != other.side)
    }
}

// ===== impl Model =====

impl Model {
    async fn arrive(&mut self, place: &mut WaitSlot<MemoryStream>, tag: Tag) {
        if place.ready().now_or_never().is_none() {
            // As many again have partners, and wait to be asked for.
            assert!(self.open.len() as u64 + self.leaving >= PLACES as u64);
            return;
        }
        let (mut conn, io) = conn();
        conn.info.extensions.insert(tag);
        let peer = Peer {
            tag,
            since: Instant::now(),
            io,
            said: Vec::new(),
            finished: false,
        };
        self.arrived += 1;
        self.open.insert(conn.info.id, peer);
        place.call(conn).await.expect("the pairing goes on");
    }

    fn nth(&self, n: usize) -> Option<ConnId> {
        let nth = n.checked_rem(self.open.len())?;
        self.open.keys().nth(nth).copied()
    }

    async fn speak(&mut self, nth: usize, bytes: usize) {
        if let Some(peer) = self.nth(nth).and_then(|id| self.open.get_mut(&id))
            && !peer.finished
        {
            let from = peer.said.len();
            peer.said.extend((from..from + bytes).map(|n| n as u8));
            let said = soon(peer.io.write_all(&peer.said[from..])).await;
            said.expect("it is heard");
        }
    }

    async fn leave(&mut self, nth: usize, parting: Parting) {
        let Some(id) = self.nth(nth) else {
            return;
        };
        let peer = self.open.get_mut(&id).expect("it is there");
        match parting {
            Parting::Finish => {
                peer.finished = true;
                peer.io.shutdown().await.expect("it ends");
                // It wants what it has said delivered, if it has said anything.
                if !peer.said.is_empty() {
                    return;
                }
                self.open.remove(&id);
            }
            Parting::Drop => drop(self.open.remove(&id)),
            Parting::Reset => reset(self.open.remove(&id).expect("it is there").io),
        }
        self.leaving += 1;
    }

    /// Every refused connection has been told the reason.
    fn receive_replies(&mut self, counts: &WaitingCounts) {
        let mut told = Vec::new();
        self.open.retain(|id, peer| {
            let mut heard = String::new();
            match peer.io.read_to_string(&mut heard).now_or_never() {
                Some(end) => {
                    end.expect("no reset");
                    told.push((*id, heard, peer.finished));
                    false
                }
                None => true,
            }
        });
        for (id, words, finished) in told {
            let all = [
                Refusal::Expired,
                Refusal::UnknownKey,
                Refusal::Full,
                Refusal::Duplicate,
                Refusal::Replaced,
                Refusal::Evicted,
                Refusal::Impatient,
                Refusal::Redundant,
            ];
            let refusal = all.into_iter().find(|refusal| refusal.to_string() == words);
            let refusal = refusal.unwrap_or_else(|| panic!("{id} was told {words:?}"));
            assert!(counts.refused(Side::A, refusal) > 0);
            self.may_refuse(refusal, finished);
            self.refused.push(refusal);
        }
    }

    /// `finished`: its peer had ended its stream, and gives way to any other.
    fn may_refuse(&self, refusal: Refusal, finished: bool) {
        let Rules {
            key_full,
            full,
            third,
            silent,
            ..
        } = self.rules;
        let may = match refusal {
            Refusal::Full => full == WhenFull::Refuse,
            Refusal::Evicted => full == WhenFull::Evict || finished,
            Refusal::Duplicate => key_full == WhenFull::Refuse || third == Third::Refuse,
            Refusal::Replaced => key_full == WhenFull::Evict || finished,
            Refusal::Impatient => silent,
            Refusal::Redundant => third == Third::LetGo,
            _ => true,
        };
        assert!(may, "{refusal}, under {:?}", self.rules);
    }

    async fn join(&mut self, mut pair: Pair<Replay<MemoryStream>, Replay<MemoryStream>>) {
        let [a, b] = joined(&pair).map(|info| info.id);
        let [mut a, mut b] = [a, b].map(|id| {
            let peer = self.open.remove(&id);
            if peer.is_none() {
                // It went between: what it said and its end are there to be delivered.
                assert!(self.leaving > 0, "one is joined that was refused");
            }
            peer
        });
        let tags = [Side::A, Side::B].map(|side| *tag(pair.session.info(side)));
        let key = tags[0].key.expect("one without a key is joined");
        assert!(tags[0].meets(tags[1]), "{tags:?}");
        if self.rules.third == Third::Refuse {
            let again = self.live.iter().any(|(live, _)| *live == key);
            assert!(!again, "two sessions of one key");
        }
        for (peer, io) in [(&mut a, &mut pair.a), (&mut b, &mut pair.b)] {
            match peer {
                Some(peer) => hears(io, &peer.said).await,
                None => {
                    // Never a dead one: it was dropped, not reset, after it had spoken.
                    let mut said = Vec::new();
                    soon(io.read_to_end(&mut said)).await.expect("no reset");
                    assert!(!said.is_empty());
                    self.leaving -= 1;
                }
            }
        }
        if self.rules.silent {
            let silent =
                |peer: &Option<Peer>| peer.as_ref().is_some_and(|peer| peer.said.is_empty());
            assert!(silent(&a) && silent(&b));
        }
        self.joined += 2;
        self.live.push((key, pair.session));
    }

    /// How many have left without being joined.
    fn left(&self, counts: &WaitingCounts) -> u64 {
        counts.died(Side::A) + counts.expired(Side::A) + counts.refused_total(Side::A)
    }

    fn agrees(&self, counts: &WaitingCounts) {
        let waiting = counts.waiting(Side::A);
        assert_eq!(
            self.arrived,
            waiting + self.joined + self.left(counts),
            "nobody is lost"
        );
        let open = self.open.len() as u64;
        assert!(
            (open..=open + self.leaving).contains(&waiting),
            "{waiting} wait"
        );
        let now = Instant::now();
        for peer in self.open.values() {
            assert!(now < peer.since + WAIT, "it should have been let go");
            assert!(!self.rules.silent || peer.said.is_empty());
        }
        if self.asked {
            // Of the connections that certainly wait, no two could be joined.
            let tags: Vec<_> = self.open.values().map(|peer| peer.tag).collect();
            let meet = |(n, one): (usize, &Tag)| tags[..n].iter().any(|other| other.meets(*one));
            assert!(
                !tags.iter().enumerate().any(meet),
                "two could be joined: {tags:?}"
            );
        }
        // They are within the bounds, unless a connection has lost its partner.
        let partings = [Refusal::Expired, Refusal::Impatient];
        let mut partings = partings
            .map(|refusal| counts.refused(Side::A, refusal))
            .into_iter();
        if self.asked && self.leaving == 0 && partings.all(|number| number == 0) {
            assert!(open <= PLACES as u64);
            for key in self.open.values().map(|peer| peer.tag.key) {
                let of_key = self.open.values().filter(|peer| peer.tag.key == key);
                assert!(of_key.count() <= self.rules.per_key, "of key {key:?}");
            }
        }
    }
}

fn tag(info: &Info) -> &Tag {
    info.extensions.get().expect("all have one")
}

async fn hears(io: &mut Replay<MemoryStream>, said: &[u8]) {
    let mut heard = vec![0; said.len()];
    soon(io.read_exact(&mut heard)).await.expect("it is heard");
    assert_eq!(heard, said);
}
