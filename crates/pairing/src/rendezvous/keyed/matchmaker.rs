use std::{
    collections::HashSet,
    hash::Hash,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Conn, Info, Io, Replay, Side};
use tokio::task::JoinSet;

use super::{
    Keyed, Third, WhenFull,
    farewell::Farewell,
    index::{Index, Tag},
};
use crate::{
    Policy, Refusal, WaitingCounts,
    handover::Giver,
    pair::Pair,
    rendezvous::{
        demand::{Demand, Timer},
        place::{Arrival, Arrivals},
        waiting::{Leavers, Waiting, WaitingSet, tell_refused},
    },
    unjoined::Unjoined,
};

/// The task that keeps the waiting and joins those with the same key when a pair is asked for.
#[derive(Debug)]
pub(super) struct Matchmaker<I, K, S> {
    keyed: Keyed<K, S>,
    arrivals: Arrivals<I>,
    waiting: WaitingSet<I, Tag<K, S>, Desk<K, S>>,
    counts: WaitingCounts,
    demand: Demand<Pair<Replay<I>, Replay<I>>>,
    timer: Timer,
    /// The keys of the live sessions, where a third is refused.
    joined: HashSet<K>,
    /// Each waits for a session's end.
    ends: JoinSet<K>,
}

/// Keeps the index right when somebody leaves, and sees them off.
#[derive(Debug)]
struct Desk<K, S> {
    index: Index<K, S>,
    places: usize,
    farewell: Option<Farewell>,
    farewells: JoinSet<()>,
}

// ===== impl Matchmaker =====

impl<I, K, S> Matchmaker<I, K, S>
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone,
{
    pub(super) fn new(
        keyed: Keyed<K, S>,
        policy: Policy,
        arrivals: Arrivals<I>,
        giver: Giver<Pair<Replay<I>, Replay<I>>>,
        counts: WaitingCounts,
    ) -> Self {
        let desk = Desk {
            index: Index::new(),
            places: policy.places,
            farewell: keyed.farewell.clone(),
            farewells: JoinSet::new(),
        };
        Self {
            arrivals,
            waiting: WaitingSet::new(policy, counts.clone(), desk).silent(keyed.silent),
            keyed,
            counts,
            demand: Demand::new(giver),
            timer: Timer::default(),
            joined: HashSet::new(),
            ends: JoinSet::new(),
        }
    }

    /// Takes one in who has come, or refuses it.
    fn enter(&mut self, arrival: Arrival<I>) {
        let info = &arrival.conn.info;
        let Some(key) = (self.keyed.key)(info) else {
            tell_refused(&self.counts, info, Refusal::UnknownKey, Duration::ZERO);
            return self.desk().see_off(arrival.conn, Refusal::UnknownKey);
        };
        let side = (self.keyed.side)(info);
        let tag = Tag { key, side };
        let Some(number) = self.waiting.enter(arrival, tag.clone()) else {
            return;
        };
        match self.make_room_for(&tag) {
            Ok(()) => self.desk().index.enter(number, tag),
            Err(refusal) => self.waiting.refuse(number, refusal),
        }
    }

    fn make_room_for(&mut self, tag: &Tag<K, S>) -> Result<(), Refusal> {
        let taken = self.joined.contains(&tag.key) || self.desk().index.is_coupled(&tag.key);
        if taken && self.keyed.third == Third::Refuse {
            return Err(Refusal::Duplicate);
        }
        // Those who find a partner are bounded by the seats.
        while !self.desk().index.has_partner_for(tag) {
            let (with_key, oldest) = self.desk().index.alone_with(&tag.key);
            let (oldest, when_full, refused, evicted) = if with_key >= self.keyed.per_key {
                (
                    oldest,
                    self.keyed.key_full,
                    Refusal::Duplicate,
                    Refusal::Replaced,
                )
            } else if self.desk().index.alone() >= self.desk().places {
                let oldest = self.desk().index.oldest_alone();
                (oldest, self.keyed.full, Refusal::Full, Refusal::Evicted)
            } else {
                return Ok(());
            };
            let oldest = oldest.ok_or(refused)?;
            // The dead take up no room, though nothing may have told of them.
            if self.waiting.look_at(oldest) {
                match when_full {
                    WhenFull::Refuse => return Err(refused),
                    WhenFull::Evict => self.waiting.refuse(oldest, evicted),
                }
            }
        }
        Ok(())
    }

    /// The next two that are there for each other, both looked at again.
    fn take_couple(&mut self) -> Option<(Waiting<I, Tag<K, S>>, Conn<Replay<I>>)> {
        loop {
            let numbers = self.desk().index.next_couple()?;
            match numbers.map(|number| self.waiting.take(number)) {
                [Some(one), Some(other)] => return Some((one, other.leave())),
                [Some(left), None] | [None, Some(left)] => {
                    let (number, tag) = (left.number(), left.tag.clone());
                    if self.waiting.put_back(left) {
                        self.desk().index.enter(number, tag);
                    }
                }
                [None, None] => {}
            }
        }
    }

    fn join(&mut self, one: Waiting<I, Tag<K, S>>, other: Conn<Replay<I>>) {
        let (one, Tag { key, .. }) = one.into_parts();
        let (a, b) = in_order(one, other);
        let pair = Pair::new(a, b);
        match self.keyed.third {
            Third::Queue => {}
            Third::Refuse => {
                self.joined.insert(key.clone());
                let session = pair.session.handle();
                self.ends.spawn(async move {
                    session.ended().await;
                    key
                });
            }
            Third::LetGo => {
                while let (_, Some(left_over)) = self.desk().index.alone_with(&key) {
                    self.waiting.refuse(left_over, Refusal::Redundant);
                }
            }
        }
        self.demand.give(pair);
    }

    fn desk(&mut self) -> &mut Desk<K, S> {
        &mut self.waiting.leavers
    }

    /// Hears which sessions have ended, and which farewells are said.
    fn poll_done(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = self.ends.poll_join_next(cx) {
            if let Ok(key) = ended {
                self.joined.remove(&key);
            }
        }
        while let Poll::Ready(Some(_)) = self.desk().farewells.poll_join_next(cx) {}
    }

    /// Can no pair come any more, and is nobody left to be told so?
    fn is_exhausted(&mut self) -> bool {
        self.arrivals.are_over()
            && !self.desk().index.has_couples()
            && self.desk().farewells.is_empty()
    }

    /// Its work: ready when no more pairs can come, or none are wanted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while let Some(arrival) = self.arrivals.poll_next(cx) {
                self.enter(arrival);
            }
            self.waiting.poll_keep(cx);
            if self.demand.poll(cx).is_err() {
                return Poll::Ready(());
            }
            if self.demand.is_asked()
                && let Some((one, other)) = self.take_couple()
            {
                self.join(one, other);
                continue;
            }
            // Last, as all of the above may have begun something whose end has to wake this task.
            self.poll_done(cx);
            if self.is_exhausted() {
                return Poll::Ready(());
            }
            if self.timer.poll(cx, self.waiting.next_due()).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Whoever is on side A, or, where they don't say so, the older, is A.
fn in_order<I>(older: Conn<I>, newer: Conn<I>) -> (Conn<I>, Conn<I>) {
    let is = |info: &Info, side| info.side == Some(side);
    let newer_is_a = is(&newer.info, Side::A) && !is(&older.info, Side::A);
    let older_is_b = is(&older.info, Side::B) && !is(&newer.info, Side::B);
    match newer_is_a || older_is_b {
        true => (newer, older),
        false => (older, newer),
    }
}

// ===== impl Desk =====

impl<K, S> Desk<K, S> {
    /// Says why, if there is anything to say and not too many are being told already.
    fn see_off<I: Io>(&mut self, conn: Unjoined<I>, refusal: Refusal) {
        if let Some(farewell) = &self.farewell
            && self.farewells.len() < self.places.saturating_mul(2)
            && let Some(saying) = farewell.say(conn, refusal)
        {
            self.farewells.spawn(saying);
        }
    }
}

impl<I, K, S> Leavers<I, Tag<K, S>> for Desk<K, S>
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone,
{
    fn left(&mut self, waiting: Waiting<I, Tag<K, S>>, refusal: Option<Refusal>) {
        let number = waiting.number();
        let (conn, tag) = waiting.into_parts();
        let conn = Unjoined::new(conn);
        self.index.leave(number, &tag.key);
        if let Some(refusal) = refusal {
            self.see_off(conn, refusal);
        }
    }
}
