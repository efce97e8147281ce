use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
    time::Duration,
};

use couplet_endpoint::{Conn, Io, Replay, Side};
use futures::task::AtomicWaker;
use tokio::{
    sync::{Semaphore, mpsc},
    task::unconstrained,
    time::Instant,
};

use super::place::Arrival;
use crate::{Policy, WaitEvent, WaitObserver, WaitingCounts, seats::Seat};

/// How often those are looked at whose io can't wake us any more.
const SWEEP: Duration = Duration::from_secs(1);

/// One side's waiting connections, in the order of their arrival.
///
/// An event on one connection costs a look at that connection, whatever the number that waits.
#[derive(Debug)]
pub(super) struct WaitingSet<I> {
    side: Side,
    policy: Policy,
    arrivals: mpsc::UnboundedReceiver<Arrival<I>>,
    no_more_arrivals: bool,
    seats: Arc<Semaphore>,
    counts: WaitingCounts,
    entries: BTreeMap<u64, Waiting<I>>,
    next: u64,
    woken: Arc<Woken>,
    /// Those that have sent all they will, or all we read ahead.
    unwatched: BTreeSet<u64>,
    sweep: Option<Instant>,
}

/// A connection that waits.
#[derive(Debug)]
pub(super) struct Waiting<I> {
    number: u64,
    conn: Conn<Replay<I>>,
    since: Instant,
    wake: Arc<WakeOne>,
    _seat: Seat,
}

#[derive(Debug, PartialEq)]
enum Health {
    /// Its io wakes us when something happens.
    Watched,
    /// There is nothing more to read, so its io will not wake us.
    Unwatched,
    Gone,
}

/// The numbers of those whose io has woken them.
#[derive(Debug, Default)]
struct Woken {
    numbers: Mutex<Vec<u64>>,
    keeper: AtomicWaker,
}

#[derive(Debug)]
struct WakeOne {
    number: u64,
    /// In the list already: so the list is never longer than the set.
    listed: AtomicBool,
    woken: Arc<Woken>,
}

// ===== impl WaitingSet =====

impl<I: Io> WaitingSet<I> {
    pub(super) fn new(
        side: Side,
        policy: Policy,
        arrivals: mpsc::UnboundedReceiver<Arrival<I>>,
        seats: Arc<Semaphore>,
        counts: WaitingCounts,
    ) -> Self {
        Self {
            side,
            policy,
            arrivals,
            no_more_arrivals: false,
            seats,
            counts,
            entries: BTreeMap::new(),
            next: 0,
            woken: Arc::default(),
            unwatched: BTreeSet::new(),
            sweep: None,
        }
    }

    /// Takes in who has arrived, lets go of who is gone or has waited too long.
    pub(super) fn poll_keep(&mut self, cx: &mut Context<'_>) {
        while !self.no_more_arrivals
            && let Poll::Ready(arrival) = self.arrivals.poll_recv(cx)
        {
            match arrival {
                Some(arrival) => self.enter(arrival),
                None => self.no_more_arrivals = true,
            }
        }
        self.woken.keeper.register(cx.waker());
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

    /// Can nobody come out of this set any more?
    pub(super) fn is_exhausted(&self) -> bool {
        self.no_more_arrivals && self.entries.is_empty()
    }

    /// The one that has waited longest and is still alive.
    pub(super) fn take_oldest(&mut self) -> Option<Waiting<I>> {
        loop {
            let (_, mut waiting) = self.entries.pop_first()?;
            self.forget(waiting.number);
            if waiting.check(self.policy.early) != Health::Gone {
                return Some(waiting);
            }
            self.died(waiting);
        }
    }

    /// For one that was taken, and finds no partner after all: the oldest again.
    pub(super) fn put_back(&mut self, waiting: Waiting<I>) {
        self.counts.side(self.side).entered();
        let number = waiting.number;
        self.entries.insert(number, waiting);
        self.look_at(number);
    }

    fn enter(&mut self, Arrival { conn, seat }: Arrival<I>) {
        let number = self.next;
        self.next += 1;
        let wake = Arc::new(WakeOne {
            number,
            listed: AtomicBool::new(false),
            woken: Arc::clone(&self.woken),
        });
        let waiting = Waiting {
            number,
            conn: conn.map_io(Replay::new),
            since: Instant::now(),
            wake,
            _seat: seat,
        };
        tracing::debug!(side = %self.side, conn = %waiting.conn.info.id,
            peer = %waiting.conn.info.peer_name(), "waits for a partner");
        self.counts.side(self.side).entered();
        self.entries.insert(number, waiting);
        self.look_at(number);
    }

    fn look_at(&mut self, number: u64) {
        let Some(waiting) = self.entries.get_mut(&number) else {
            return; // It has left, and its io woke us before.
        };
        match waiting.check(self.policy.early) {
            Health::Watched => {}
            Health::Unwatched => {
                self.unwatched.insert(number);
                self.sweep.get_or_insert_with(|| Instant::now() + SWEEP);
            }
            Health::Gone => {
                if let Some(waiting) = self.entries.remove(&number) {
                    self.forget(number);
                    self.died(waiting);
                }
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let Some(wait) = self.policy.wait else {
            return;
        };
        while let Some(oldest) = self.entries.first_entry()
            && now.duration_since(oldest.get().since) >= wait
        {
            let Waiting { number, conn, .. } = oldest.remove();
            self.forget(number);
            self.counts.side(self.side).expired();
            WaitObserver::tell(&conn.info, WaitEvent::Expired);
            tracing::info!(side = %self.side, conn = %conn.info.id,
                peer = %conn.info.peer_name(), waited = ?wait, "let go: no partner came in time");
        }
    }

    /// What goes with an entry that leaves.
    fn forget(&mut self, number: u64) {
        self.counts.side(self.side).left();
        self.unwatched.remove(&number);
        if self.unwatched.is_empty() {
            self.sweep = None;
        }
    }

    fn died(&self, Waiting { conn, since, .. }: Waiting<I>) {
        self.counts.side(self.side).died();
        WaitObserver::tell(&conn.info, WaitEvent::Died);
        tracing::debug!(side = %self.side, conn = %conn.info.id, peer = %conn.info.peer_name(),
            waited = ?since.elapsed(), "went away while it waited");
    }
}

impl<I> Drop for WaitingSet<I> {
    fn drop(&mut self) {
        // So that those who wait for a place hear that none will be free.
        self.seats.close();
        for _ in 0..self.entries.len() {
            self.counts.side(self.side).left();
        }
    }
}

// ===== impl Waiting =====

impl<I: Io> Waiting<I> {
    /// Reads ahead what has come, and sees from it how the peer is.
    fn check(&mut self, early: usize) -> Health {
        // Before the look, so that no wake-up falls between.
        self.wake.listed.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.wake));
        // Even if the task has used up its turn: a look put off would pass for a good one.
        let look = unconstrained(poll_fn(|cx| self.poll_health(cx, early.max(1))));
        match pin!(look).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(health) => health,
            Poll::Pending => Health::Watched,
        }
    }

    fn poll_health(&mut self, cx: &mut Context<'_>, early: usize) -> Poll<Health> {
        loop {
            let io = &mut self.conn.io;
            match ready!(io.poll_read_ahead(cx, early)) {
                Ok(0) if !io.ahead().is_empty() && io.take_error().is_none() => {
                    return Poll::Ready(Health::Unwatched);
                }
                Ok(0) | Err(_) => return Poll::Ready(Health::Gone),
                Ok(_) => {}
            }
        }
    }

    /// Leaves the waiting set for good: its place is free.
    pub(super) fn leave(self) -> Conn<Replay<I>> {
        self.conn
    }
}

// ===== impl Woken =====

impl Woken {
    fn take(&self) -> Vec<u64> {
        mem::take(&mut *self.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.woken
                .numbers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.number);
            self.woken.keeper.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Origin, memory};
    use tokio::io::AsyncWriteExt;
    use tokio_test::task;

    use super::*;
    use crate::seats::free_seats;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_those_who_left() {
        let (send, arrivals) = mpsc::unbounded_channel();
        let seats = free_seats(2);
        let policy = Policy::default().early(1);
        let counts = WaitingCounts::default();
        let mut set = WaitingSet::new(Side::A, policy, arrivals, Arc::clone(&seats), counts);
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (io, mut peer) = memory::connection(64);
            peer.write_all(b"hi").await.unwrap();
            peers.push(peer);
            let conn = Conn::new(io, Origin::Accepted);
            let seat = Arc::clone(&seats).try_acquire_owned().unwrap();
            assert!(send.send(Arrival { conn, seat }).is_ok());
        }
        let mut keep = task::spawn(());
        keep.enter(|cx, _| set.poll_keep(cx));
        assert_eq!(set.unwatched.len(), 2);

        // The one is matched, the other expires.
        assert!(set.take_oldest().is_some());
        assert_eq!(set.unwatched.len(), 1);
        tokio::time::advance(Duration::from_secs(300)).await;
        keep.enter(|cx, _| set.poll_keep(cx));
        assert!(set.is_empty() && set.unwatched.is_empty());
        assert_eq!(set.next_due(), None);
        assert_eq!(seats.available_permits(), 2);
    }
}
