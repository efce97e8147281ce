//! Waiting connections: watched, counted, and let go in time. What a matchmaker does with them is
//! its own.

mod one;
mod wake;

pub(super) use self::one::Waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::Context,
    time::Duration,
};

use couplet_endpoint::{ConnEvent, Info, Io};
use tokio::time::Instant;

use self::{one::Health, wake::Woken};
use super::place::Arrival;
use crate::{Policy, Refusal, WaitingCounts};

/// How often those are looked at whose io can't wake us any more.
const SWEEP: Duration = Duration::from_secs(1);

/// Waiting connections in the order of their arrival, each with a tag of its matchmaker's.
///
/// An event on one connection costs a look at that connection, whatever the number that waits.
#[derive(Debug)]
pub(super) struct WaitingSet<I, T, L> {
    policy: Policy,
    counts: WaitingCounts,
    silent: bool,
    entries: BTreeMap<u64, Waiting<I, T>>,
    next: u64,
    woken: Arc<Woken>,
    /// Those that have sent all they will, or all we read ahead.
    unwatched: BTreeSet<u64>,
    sweep: Option<Instant>,
    /// Is told who leaves without being taken.
    pub(super) leavers: L,
}

/// Is told who leaves a waiting set without being taken.
pub(super) trait Leavers<I, T> {
    /// It is refused for this reason; without one, it went by itself.
    fn left(&mut self, waiting: Waiting<I, T>, refusal: Option<Refusal>);
}

// ===== impl WaitingSet =====

impl<I: Io, T, L: Leavers<I, T>> WaitingSet<I, T, L> {
    pub(super) fn new(policy: Policy, counts: WaitingCounts, leavers: L) -> Self {
        Self {
            policy,
            counts,
            silent: false,
            entries: BTreeMap::new(),
            next: 0,
            woken: Arc::default(),
            unwatched: BTreeSet::new(),
            sweep: None,
            leavers,
        }
    }

    /// The same, but whoever speaks while it waits is refused, if so told.
    pub(super) fn silent(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }

    /// Takes one in, and returns its number if it stays.
    pub(super) fn enter(&mut self, Arrival { conn, seat }: Arrival<I>, tag: T) -> Option<u64> {
        let number = self.next;
        self.next += 1;
        let waiting = Waiting::new(number, conn, seat, tag, self.woken.one(number));
        let info = waiting.info();
        tracing::debug!(side = info.side.map(tracing::field::display), conn = info.id.get(),
            peer = %info.peer_name(), "waits for a partner");
        self.counts.of(info).entered();
        self.entries.insert(number, waiting);
        self.look_at(number).then_some(number)
    }

    /// Lets go of who is gone or has waited too long.
    pub(super) fn poll_keep(&mut self, cx: &mut Context<'_>) {
        self.woken.register(cx.waker());
        for number in self.woken.take() {
            self.look_at(number);
        }
        let now = Instant::now();
        if self.sweep.is_some_and(|due| due <= now) {
            self.sweep = None;
            for number in self.unwatched.clone() {
                self.look_at(number);
            }
        }
        self.expire(now);
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

    /// The one that has waited longest and is still alive.
    pub(super) fn take_oldest(&mut self) -> Option<Waiting<I, T>> {
        loop {
            let (_, oldest) = self.entries.pop_first()?;
            if let Some(oldest) = self.alive(oldest) {
                return Some(oldest);
            }
        }
    }

    /// The one with this number, if it is still alive.
    pub(super) fn take(&mut self, number: u64) -> Option<Waiting<I, T>> {
        let waiting = self.entries.remove(&number)?;
        self.alive(waiting)
    }

    /// For one that was taken, and finds no partner after all: waits on from where it did. Does it
    /// stay?
    pub(super) fn put_back(&mut self, waiting: Waiting<I, T>) -> bool {
        self.counts.of(waiting.info()).entered();
        let number = waiting.number;
        self.entries.insert(number, waiting);
        self.look_at(number)
    }

    /// Sees how one is; does it stay?
    pub(super) fn look_at(&mut self, number: u64) -> bool {
        let Some(waiting) = self.entries.get_mut(&number) else {
            return false; // It has left, and its io woke us before.
        };
        match waiting.check(self.policy.early) {
            Health::Gone => self.remove(number, None),
            _ if self.silent && waiting.spoke() => self.refuse(number, Refusal::Impatient),
            Health::Watched => return true,
            Health::Unwatched => {
                self.unwatched.insert(number);
                self.sweep.get_or_insert_with(|| Instant::now() + SWEEP);
                return true;
            }
        }
        false
    }

    /// Lets one go.
    pub(super) fn refuse(&mut self, number: u64, refusal: Refusal) {
        self.remove(number, Some(refusal));
    }

    fn remove(&mut self, number: u64, refusal: Option<Refusal>) {
        if let Some(waiting) = self.entries.remove(&number) {
            self.forget(&waiting);
            self.part_from(waiting, refusal);
        }
    }

    /// One that has been removed, if it is alive.
    fn alive(&mut self, mut waiting: Waiting<I, T>) -> Option<Waiting<I, T>> {
        self.forget(&waiting);
        let refusal = match waiting.check(self.policy.early) {
            Health::Gone => None,
            _ if self.silent && waiting.spoke() => Some(Refusal::Impatient),
            _ => return Some(waiting),
        };
        self.part_from(waiting, refusal);
        None
    }

    fn expire(&mut self, now: Instant) {
        let Some(wait) = self.policy.wait else {
            return;
        };
        while let Some((&number, oldest)) = self.entries.first_key_value()
            && now.duration_since(oldest.since) >= wait
        {
            self.refuse(number, Refusal::Expired);
        }
    }

    /// What goes with an entry that leaves.
    fn forget(&mut self, waiting: &Waiting<I, T>) {
        self.counts.of(waiting.info()).left();
        self.unwatched.remove(&waiting.number);
        if self.unwatched.is_empty() {
            self.sweep = None;
        }
    }

    fn part_from(&mut self, waiting: Waiting<I, T>, refusal: Option<Refusal>) {
        let (info, waited) = (waiting.info(), waiting.since.elapsed());
        match refusal {
            Some(refusal) => tell_refused(&self.counts, info, refusal, waited),
            None => {
                self.counts.of(info).died();
                info.tell(ConnEvent::Gone);
                tracing::debug!(side = info.side.map(tracing::field::display), conn = info.id.get(),
                    peer = %info.peer_name(), waited = waited.as_secs_f64(), "went away while it waited");
            }
        }
        self.leavers.left(waiting, refusal);
    }
}

impl<I, T, L> Drop for WaitingSet<I, T, L> {
    fn drop(&mut self) {
        for waiting in self.entries.values() {
            self.counts.of(waiting.info()).left();
        }
    }
}

/// Counts a refusal, and tells it.
pub(super) fn tell_refused(
    counts: &WaitingCounts,
    info: &Info,
    refusal: Refusal,
    waited: Duration,
) {
    counts.of(info).refused(refusal, waited);
    info.tell(ConnEvent::Refused(refusal));
    tracing::info!(side = info.side.map(tracing::field::display), conn = info.id.get(), peer = %info.peer_name(),
        waited = waited.as_secs_f64(), "let go: {refusal}");
}

// ===== impl Leavers for () =====

/// Nobody wants to know.
impl<I, T> Leavers<I, T> for () {
    fn left(&mut self, _: Waiting<I, T>, _: Option<Refusal>) {}
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Conn, Origin, Side, memory};
    use tokio::io::AsyncWriteExt;
    use tokio_test::task;

    use super::*;
    use crate::{seats::free_seats, unjoined::Unjoined};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_those_who_left() {
        let seats = free_seats(2);
        let policy = Policy::default().early(1);
        let mut set = WaitingSet::new(policy, WaitingCounts::default(), ());
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (io, mut peer) = memory::connection(64);
            peer.write_all(b"hi").await.unwrap();
            peers.push(peer);
            let conn = Conn::new(io, Origin::Accepted).on(Side::A);
            let seat = Arc::clone(&seats).try_acquire_owned().unwrap();
            let conn = Unjoined::new(conn);
            assert!(set.enter(Arrival { conn, seat }, ()).is_some());
        }
        assert_eq!(set.unwatched.len(), 2);

        // The one is matched, the other expires.
        assert!(set.take_oldest().is_some());
        assert_eq!(set.unwatched.len(), 1);
        tokio::time::advance(Duration::from_secs(300)).await;
        task::spawn(()).enter(|cx, _| set.poll_keep(cx));
        assert!(set.is_empty() && set.unwatched.is_empty());
        assert_eq!(set.next_due(), None);
        assert_eq!(seats.available_permits(), 2);
    }
}
