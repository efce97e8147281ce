//! The places of a pool, and what holds one.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    conn::{ConnEvent, ConnObserver, Info},
    dial::Backoff,
};

/// Marks a connection of a [pool](crate::keep), in its [`extensions`](Info::extensions).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Pooled;

/// The place of a connection in its pool, and an observer of that connection.
///
/// The place is free again when the connection is joined, or when the last clone of its [`Info`] is
/// dropped.
pub(super) struct Place {
    // Weak, so that what is dropped after its pool counts for nothing.
    pool: Weak<Places>,
    round: u64,
    dialled: Option<Instant>,
    given_back: AtomicBool,
}

/// Shared by a pool and the connections that hold its places.
pub(super) struct Places {
    state: Mutex<State>,
    pool: AtomicWaker,
}

struct State {
    backoff: Backoff,
    free: usize,
    /// In a row.
    failures: u32,
    /// Nothing is dialled until then.
    pause: Option<Instant>,
    /// Dials that run side by side fail side by side: only the first failure among those that
    /// began before a pause counts.
    round: u64,
}

/// May the pool dial?
pub(super) enum Turn {
    Dial,
    Full,
    Pause(Instant),
}

// ===== impl Places =====

impl Places {
    pub(super) fn new(n: usize, backoff: Backoff) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                backoff,
                free: n,
                failures: 0,
                pause: None,
                round: 0,
            }),
            pool: AtomicWaker::new(),
        })
    }

    /// Wakes the pool when a place is given back.
    pub(super) fn wake_on_change(&self, waker: &Waker) {
        self.pool.register(waker);
    }

    pub(super) fn turn(&self) -> Turn {
        let state = self.state();
        match state.pause {
            _ if state.free == 0 => Turn::Full,
            Some(end) if end > Instant::now() => Turn::Pause(end),
            _ => Turn::Dial,
        }
    }

    /// Takes a place for a dial that begins now. One must be free, and only the pool itself
    /// takes any.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        state.free -= 1;
        Place {
            pool: Arc::downgrade(self),
            round: state.round,
            dialled: None,
            given_back: AtomicBool::new(false),
        }
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.state().free
    }

    // Nothing in here panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl State =====

impl State {
    /// The pause that a failure makes, where it is the first of its round.
    fn fail(&mut self, round: u64) -> Option<Duration> {
        if round != self.round {
            return None;
        }
        let pause = self.backoff.pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.round += 1;
        self.pause = Some(Instant::now() + pause);
        Some(pause)
    }
}

// ===== impl Place =====

impl Place {
    /// The dial has succeeded: the connection waits from now on.
    pub(super) fn dialled(&mut self) {
        self.dialled = Some(Instant::now());
    }

    /// The dial has failed. The pause that follows from it, if this is the first of those that
    /// failed side by side.
    pub(super) fn failed(self) -> Option<Duration> {
        self.give_back(|state| state.fail(self.round)).flatten()
    }

    /// The connection is joined, and waits no more.
    fn joined(&self) {
        self.give_back(|state| {
            state.failures = 0;
            state.pause = None;
        });
    }

    /// Frees the place; `None` where it was free, or the pool is no more.
    fn give_back<T>(&self, how: impl FnOnce(&mut State) -> T) -> Option<T> {
        let places = self.pool.upgrade()?;
        if self.given_back.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut state = places.state();
        state.free += 1;
        let result = how(&mut state);
        drop(state);
        places.pool.wake();
        Some(result)
    }
}

impl ConnObserver for Place {
    fn on_event(&self, _: &Info, event: ConnEvent) {
        if let ConnEvent::Joined(_) = event {
            self.joined();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let lasted = self.dialled.map(|dialled| dialled.elapsed());
        let pause = self.give_back(|state| match lasted {
            Some(lasted) if state.backoff.is_reset_by(lasted) => {
                state.failures = 0;
                None
            }
            Some(_) => state.fail(self.round),
            // The dial was given up.
            None => None,
        });
        if let Some(pause) = pause.flatten() {
            warn!(
                lasted = lasted.map(|lasted| lasted.as_secs_f64()),
                pause = pause.as_secs_f64(),
                "a connection was dropped before it was joined; dials again after a pause"
            );
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
