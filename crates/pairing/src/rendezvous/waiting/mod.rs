//! The set of waiting connections: watched, counted, and refused at their deadline. A matchmaker decides
//! which to join.

mod one;
#[cfg(test)]
mod tests;
mod wake;

pub(super) use self::one::Waiting;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    task::Context,
    time::Duration,
};

use couplet_endpoint::{ConnEvent, Info, Io};
use tokio::time::Instant;

use self::{one::Health, wake::Woken};
use super::slot::Arrival;
use crate::{Policy, Refusal, WaitingCounts};

/// How often connections are polled whose io wakes no task any more.
const SWEEP: Duration = Duration::from_secs(1);

/// Waiting connections in the order of their arrival, each with a tag of its matchmaker's.
///
/// What becomes of a connection is returned, so that the matchmaker keeps its own books right. An
/// event on one connection costs a look at that connection, whatever the number that waits.
#[derive(Debug)]
pub(super) struct WaitingSet<I, T> {
    policy: Policy,
    counts: WaitingCounts,
    silent: bool,
    shares_slots: bool,
    entries: BTreeMap<u64, Waiting<I, T>>,
    next: u64,
    woken: Arc<Woken>,
    /// Those that have sent all they will, or all that is read ahead.
    unwatched: BTreeSet<u64>,
    sweep: Option<Instant>,
    /// Those that have ended, where they hold no slot.
    without_slot: BTreeSet<u64>,
}

/// What has become of a waiting connection.
#[derive(Debug)]
pub(super) enum Change<I, T> {
    /// Its peer has ended its stream; it waits on.
    Ended(u64),
    Removed(Removed<I, T>),
}

/// A connection that left without being taken.
#[derive(Debug)]
#[must_use = "the matchmaker has to forget it"]
pub(super) struct Removed<I, T> {
    /// Boxed, so that what is returned by the many that stay is small.
    pub(super) waiting: Box<Waiting<I, T>>,
    /// None where its peer went away.
    pub(super) refusal: Option<Refusal>,
}

// ===== impl WaitingSet =====

impl<I: Io, T> WaitingSet<I, T> {
    pub(super) fn new(policy: Policy, counts: WaitingCounts) -> Self {
        Self {
            policy,
            counts,
            silent: false,
            shares_slots: false,
            entries: BTreeMap::new(),
            next: 0,
            woken: Arc::default(),
            unwatched: BTreeSet::new(),
            sweep: None,
            without_slot: BTreeSet::new(),
        }
    }

    /// The same, but a connection whose peer sends a byte while it waits is refused, if so told.
    pub(super) fn silent(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }

    /// The same, but the slots are shared fairly among the networks of those that hold them.
    pub(super) fn sharing_slots(mut self) -> Self {
        self.shares_slots = true;
        self
    }

    /// Takes a connection in, and returns it if it stays.
    pub(super) fn enter(
        &mut self,
        Arrival { conn, slot }: Arrival<I>,
        tag: T,
    ) -> Result<&Waiting<I, T>, Removed<I, T>> {
        let number = self.next;
        self.next += 1;
        let waiting = Waiting::new(number, conn, slot, tag, self.woken.one(number));
        self.put_back(waiting)
    }

    /// For one that was taken, and finds no partner after all: waits on from where it did. Returns
    /// it if it stays.
    pub(super) fn put_back(
        &mut self,
        mut waiting: Waiting<I, T>,
    ) -> Result<&Waiting<I, T>, Removed<I, T>> {
        self.counts.tell_entered(waiting.info());
        if self.shares_slots {
            waiting.may_give_way();
        }
        // Before it is in: what wakes it meanwhile is listed, and looked at when it is.
        match self.check(&mut waiting) {
            Ok(Health::Watched) => {}
            Ok(_) => self.sweeps(waiting.number),
            Err(refusal) => {
                self.forget(&waiting);
                return Err(self.part_from(waiting, refusal));
            }
        }
        Ok(match self.entries.entry(waiting.number) {
            Entry::Vacant(vacant) => vacant.insert(waiting),
            Entry::Occupied(_) => unreachable!("a number is given once"),
        })
    }

    /// Whether one that was taken still is alive, or the reason for which it leaves.
    pub(super) fn is_alive(&self, waiting: &mut Waiting<I, T>) -> Result<(), Option<Refusal>> {
        self.check(waiting).map(drop)
    }

    /// For one that was taken, and has turned out to be gone.
    pub(super) fn vanished(&self, waiting: Waiting<I, T>) -> Removed<I, T> {
        self.part_from(waiting, None)
    }

    /// Removes those that are gone or have waited too long, and returns what has changed.
    pub(super) fn poll_keep(&mut self, cx: &mut Context<'_>) -> Vec<Change<I, T>> {
        self.woken.register(cx.waker());
        let mut changes = Vec::new();
        for number in self.woken.take() {
            changes.extend(self.look_at(number));
        }
        let now = Instant::now();
        if self.sweep.is_some_and(|due| due <= now) {
            self.sweep = None;
            for number in self.unwatched.clone() {
                changes.extend(self.look_at(number));
            }
        }
        while let Some(removed) = self.expire(now) {
            changes.push(Change::Removed(removed));
        }
        changes
    }

    /// When [`poll_keep`](Self::poll_keep) has something to do even if nothing wakes it.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let expiry = self
            .entries
            .first_key_value()
            .and_then(|(_, oldest)| oldest.since.checked_add(self.policy.wait?));
        expiry.into_iter().chain(self.sweep).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Waiting<I, T>> {
        self.entries.get(&number)
    }

    /// All, the oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    /// The one that has waited longest, if it is still alive.
    pub(super) fn take_oldest(&mut self) -> Option<Result<Waiting<I, T>, Removed<I, T>>> {
        let (&oldest, _) = self.entries.first_key_value()?;
        self.take(oldest)
    }

    /// The one with this number, if it is still alive.
    pub(super) fn take(&mut self, number: u64) -> Option<Result<Waiting<I, T>, Removed<I, T>>> {
        let mut waiting = self.entries.remove(&number)?;
        self.forget(&waiting);
        Some(match self.check(&mut waiting) {
            Ok(_) => {
                waiting.keeps_slot();
                Ok(waiting)
            }
            Err(refusal) => Err(self.part_from(waiting, refusal)),
        })
    }

    /// Sees how one is, and returns what has changed.
    pub(super) fn look_at(&mut self, number: u64) -> Option<Change<I, T>> {
        let (early, silent) = (self.policy.early, self.silent);
        // It may have left, and its io woke us before.
        let waiting = self.entries.get_mut(&number)?;
        let was_open = waiting.is_open();
        match waiting.stays(early, silent) {
            Ok(Health::Watched) => None,
            Ok(_) => {
                let has_ended = was_open && !waiting.is_open();
                self.sweeps(number);
                has_ended.then_some(Change::Ended(number))
            }
            Err(refusal) => self.remove(number, refusal).map(Change::Removed),
        }
    }

    /// How one is; or that it leaves, refused for a reason or because its peer is gone.
    fn check(&self, waiting: &mut Waiting<I, T>) -> Result<Health, Option<Refusal>> {
        waiting.stays(self.policy.early, self.silent)
    }

    /// Polls this one from time to time, because its io wakes no task.
    fn sweeps(&mut self, number: u64) {
        self.unwatched.insert(number);
        self.sweep.get_or_insert_with(|| Instant::now() + SWEEP);
    }

    /// Frees the slot of a connection that has ended: its peer may have closed it, which looks the
    /// same. It waits on, but as many as there are slots may; beyond them the oldest is refused.
    pub(super) fn free_slot(&mut self, ended: u64) -> Option<Removed<I, T>> {
        let waiting = self.entries.get_mut(&ended)?;
        waiting.free_slot();
        self.without_slot.insert(ended);
        if self.without_slot.len() <= self.policy.max_waiting {
            return None;
        }
        let oldest = self.without_slot.first().copied()?;
        self.refuse(oldest, Refusal::Evicted)
    }

    /// Removes one.
    pub(super) fn refuse(&mut self, number: u64, refusal: Refusal) -> Option<Removed<I, T>> {
        self.remove(number, Some(refusal))
    }

    fn remove(&mut self, number: u64, refusal: Option<Refusal>) -> Option<Removed<I, T>> {
        let waiting = self.entries.remove(&number)?;
        self.forget(&waiting);
        Some(self.part_from(waiting, refusal))
    }

    fn expire(&mut self, now: Instant) -> Option<Removed<I, T>> {
        let (&number, oldest) = self.entries.first_key_value()?;
        match now.duration_since(oldest.since) >= self.policy.wait? {
            true => self.refuse(number, Refusal::Expired),
            false => None,
        }
    }

    /// What goes with an entry that leaves.
    fn forget(&mut self, waiting: &Waiting<I, T>) {
        self.counts.tell_left(waiting.info());
        self.without_slot.remove(&waiting.number);
        self.unwatched.remove(&waiting.number);
        if self.unwatched.is_empty() {
            self.sweep = None;
        }
    }

    pub(super) fn part_from(
        &self,
        waiting: Waiting<I, T>,
        refusal: Option<Refusal>,
    ) -> Removed<I, T> {
        let (info, waited) = (waiting.info(), waiting.since.elapsed());
        match refusal {
            Some(refusal) => tell_refused(&self.counts, info, refusal, waited),
            None => {
                self.counts.tell_died(info);
                info.tell(ConnEvent::Gone);
                tracing::debug!(side = info.side.map(tracing::field::display), conn = info.id.get(),
                    peer = %info.peer_name(), waited = waited.as_secs_f64(), "the peer went away while it waited");
            }
        }
        Removed {
            waiting: Box::new(waiting),
            refusal,
        }
    }
}

impl<I, T> Drop for WaitingSet<I, T> {
    fn drop(&mut self) {
        for waiting in self.entries.values() {
            self.counts.tell_left(waiting.info());
        }
    }
}

/// Counts a refusal, and tells the observers and the log.
pub(super) fn tell_refused(
    counts: &WaitingCounts,
    info: &Info,
    refusal: Refusal,
    waited: Duration,
) {
    counts.tell_refused(info, refusal, waited);
    info.tell(ConnEvent::Refused(refusal));
    tracing::info!(side = info.side.map(tracing::field::display), conn = info.id.get(), peer = %info.peer_name(),
        waited = waited.as_secs_f64(), "refused: {refusal}");
}
