//! The slots of a pool, and the connections that hold them.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt, iter,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::{
    conn::{ConnEvent, ConnObserver, Info},
    dial::backoff::{Backoff, Fruitless},
};

/// How a pool does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// How many connections the pool keeps.
    pub wanted: usize,
    /// How many are there, and wait for the first byte from their peer.
    pub ready: usize,
    /// How many are being dialled.
    pub dialling: usize,
}

/// Shared by a pool and the connections that hold its slots.
pub(super) struct PoolSlots {
    state: Mutex<State>,
    pool: AtomicWaker,
}

/// The slot of a connection, and an observer of that connection.
///
/// ```text
/// dialling ─▶ waits ─▶ joined ─▶ a byte came from its peer: free, at once
///     │         │         ╰────▶ the session ended: free, by what became of it
///     ╰─────────┴──────────────▶ failed, dropped: free, after a pause
/// ```
pub(super) struct PoolSlot {
    // Weak, so that a connection that outlives its pool counts for nothing.
    pool: Weak<PoolSlots>,
    round: u64,
    dialled: Option<Instant>,
    /// A byte was delivered to its peer.
    was_served: AtomicBool,
    given_back: AtomicBool,
}

struct State {
    backoff: Backoff,
    /// How many there are in all.
    wanted: usize,
    /// How many are being dialled.
    dialling: usize,
    /// When each free slot may be dialled, the soonest first.
    free: BinaryHeap<Reverse<Instant>>,
    /// Failures in a row.
    failures: u32,
    /// The pool does not dial before this time.
    pause: Option<Instant>,
    /// Dials that run side by side fail side by side: only the first failure among those that
    /// began before a pause counts.
    round: u64,
}

/// Whether the pool may dial.
pub(super) enum Turn {
    Dial,
    Full,
    Pause(Instant),
}

/// How a connection ended.
enum Outcome {
    /// The session moved bytes, or the dial was given up.
    Done,
    /// The connection was lost after it had lasted long enough.
    Lost,
    Failed(Fruitless),
    /// The session moved bytes and was cut: no failure, but a relay that cuts every connection must
    /// not be dialled without pause.
    Cut,
}

// ===== impl PoolStatus =====

impl PoolStatus {
    /// How many are yet to be dialled: after a pause, or once the relay is not paused any more.
    pub const fn undialled(&self) -> usize {
        self.wanted - self.ready - self.dialling
    }
}

// ===== impl PoolSlots =====

impl PoolSlots {
    pub(super) fn new(n: usize, backoff: Backoff) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            state: Mutex::new(State {
                backoff,
                wanted: n,
                dialling: 0,
                free: iter::repeat_n(Reverse(now), n).collect(),
                failures: 0,
                pause: None,
                round: 0,
            }),
            pool: AtomicWaker::new(),
        })
    }

    /// Wakes the pool when a slot is given back.
    pub(super) fn wake_on_change(&self, waker: &Waker) {
        self.pool.register(waker);
    }

    pub(super) fn turn(&self) -> Turn {
        let state = self.state();
        let Some(Reverse(due)) = state.free.peek().copied() else {
            return Turn::Full;
        };
        let due = state.pause.map_or(due, |pause| pause.max(due));
        match due > Instant::now() {
            true => Turn::Pause(due),
            false => Turn::Dial,
        }
    }

    /// Takes a slot for a dial that begins now. A slot must be free; only the pool takes slots.
    pub(super) fn take(self: &Arc<Self>) -> PoolSlot {
        let mut state = self.state();
        state.free.pop();
        state.dialling += 1;
        PoolSlot {
            pool: Arc::downgrade(self),
            round: state.round,
            dialled: None,
            was_served: AtomicBool::new(false),
            given_back: AtomicBool::new(false),
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.state().failures > 0
    }

    pub(super) fn status(&self) -> PoolStatus {
        let state = self.state();
        PoolStatus {
            wanted: state.wanted,
            ready: state.wanted - state.free.len() - state.dialling,
            dialling: state.dialling,
        }
    }

    /// The number of free slots.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.state().free.len()
    }

    // Nothing in here panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl State =====

impl State {
    /// Frees a slot. Returns the pause that follows, where this is the first failure of its round.
    fn free(&mut self, outcome: Outcome, round: u64) -> Option<Duration> {
        let now = Instant::now();
        let pause = match outcome {
            Outcome::Done => {
                self.begin_anew(now);
                self.free.push(Reverse(now));
                return None;
            }
            Outcome::Lost => {
                self.failures = 0;
                None
            }
            Outcome::Cut if round == self.round => {
                self.failures = 0;
                self.fail(now, Fruitless::Connection)
            }
            Outcome::Failed(why) if round == self.round => self.fail(now, why),
            Outcome::Cut | Outcome::Failed(_) => None,
        };
        // Connections that are lost together are not dialled again together.
        let due = self.pause.map_or(now, |pause| pause.max(now));
        let due = later(due, self.backoff.spread());
        self.free.push(Reverse(due));
        pause
    }

    fn fail(&mut self, now: Instant, why: Fruitless) -> Option<Duration> {
        let pause = self.backoff.pause(self.failures, why);
        self.failures = self.failures.saturating_add(1);
        self.round += 1;
        self.pause = Some(later(now, pause));
        // Repeated failures are logged ever less often.
        self.failures.is_power_of_two().then_some(pause)
    }

    fn begin_anew(&mut self, now: Instant) {
        self.failures = 0;
        if self.pause.take().is_some() {
            let free = self.free.len();
            self.free.clear();
            self.free.extend(iter::repeat_n(Reverse(now), free));
        }
    }
}

/// The time `by` after `at`; far in the future where the clock can't hold it.
fn later(at: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    at.checked_add(by).unwrap_or_else(|| at + YEAR)
}

// ===== impl PoolSlot =====

impl PoolSlot {
    /// The dial has succeeded: the connection waits from now on.
    pub(super) fn dialled(&mut self) {
        self.dialled = Some(Instant::now());
        if let Some(pool) = self.pool.upgrade() {
            pool.state().dialling -= 1;
        }
    }

    /// The dial has failed. Returns the pause that follows, if it is to be logged.
    pub(super) fn failed(self) -> Option<Duration> {
        self.give_back(Outcome::Failed(Fruitless::Dial))
    }

    /// The connection has ended without a byte from its peer.
    fn gone(&self) -> Outcome {
        let Some(lasted) = self.dialled.map(|dialled| dialled.elapsed()) else {
            return Outcome::Done; // The dial was given up.
        };
        let has_lasted = self
            .pool
            .upgrade()
            .is_some_and(|pool| pool.state().backoff.is_reset_by(lasted));
        match has_lasted {
            true => Outcome::Lost,
            false => Outcome::Failed(Fruitless::Connection),
        }
    }

    /// Frees the slot, once. Returns the pause that follows, if it is to be logged.
    fn give_back(&self, outcome: Outcome) -> Option<Duration> {
        let slots = self.pool.upgrade()?;
        if self.given_back.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut state = slots.state();
        if self.dialled.is_none() {
            state.dialling -= 1;
        }
        let pause = state.free(outcome, self.round);
        drop(state);
        slots.pool.wake();
        pause
    }
}

impl ConnObserver for PoolSlot {
    fn on_event(&self, info: &Info, event: ConnEvent) {
        match event {
            ConnEvent::FirstByte(from) if info.side == Some(from) => {
                self.give_back(Outcome::Done);
            }
            ConnEvent::FirstByte(_) => self.was_served.store(true, Ordering::Relaxed),
            ConnEvent::Ended(reason) => {
                let outcome = match self.was_served.load(Ordering::Relaxed) {
                    true if reason.is_clean() => Outcome::Done,
                    true => Outcome::Cut,
                    false => self.gone(),
                };
                if let Some(pause) = self.give_back(outcome) {
                    debug!(conn = info.id.get(), %reason, pause = pause.as_secs_f64(),
                        "the session ended without a byte from the peer; dials again after a pause");
                }
            }
            _ => {}
        }
    }
}

impl Drop for PoolSlot {
    fn drop(&mut self) {
        if self.given_back.load(Ordering::Relaxed) {
            return;
        }
        let lasted = self.dialled.map(|dialled| dialled.elapsed());
        if let Some(pause) = self.give_back(self.gone()) {
            warn!(
                lasted = lasted.map(|lasted| lasted.as_secs_f64()),
                pause = pause.as_secs_f64(),
                "a connection was lost before it was joined; dials again after a pause"
            );
        }
    }
}

impl fmt::Debug for PoolSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSlot").finish_non_exhaustive()
    }
}
