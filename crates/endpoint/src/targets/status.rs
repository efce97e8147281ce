use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::health::{Change, Health};

/// The state of a target, see [`Targets::watch`](super::Targets::watch).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetStatus {
    /// The target's name.
    pub name: Arc<str>,
    /// The target is dialled only while no other is up.
    pub is_backup: bool,
    /// The target's share of the clients.
    pub weight: u32,
    /// The target gets clients.
    pub is_up: bool,
    /// The live connections, and dials under way.
    pub live: usize,
    /// The dials for clients; checks do not count.
    pub dials: u64,
    /// The dials for clients that failed.
    pub failures: u64,
}

/// Observes the targets of a [`Targets`](super::Targets).
#[derive(Clone, Debug)]
pub struct TargetWatch(pub(super) Arc<[Arc<State>]>);

/// What is known of a target.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: Arc<str>,
    pub(super) weight: u32,
    pub(super) is_backup: bool,
    health: Mutex<Health>,
    live: AtomicUsize,
    dials: AtomicU64,
    failures: AtomicU64,
}

/// Counts a connection, until its last clone is dropped.
pub(super) struct Live(Arc<State>);

// ===== impl TargetWatch =====

impl TargetWatch {
    /// The state of each target, in the order in which they were given.
    pub fn status(&self) -> impl Iterator<Item = TargetStatus> {
        self.0.iter().map(|state| state.status())
    }
}

// ===== impl State =====

impl State {
    pub(super) fn new(name: Arc<str>, weight: u32, is_backup: bool) -> Self {
        Self {
            name,
            weight,
            is_backup,
            health: Mutex::new(Health::new()),
            live: AtomicUsize::new(0),
            dials: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Looks at the health, or changes it. Nothing in `does` panics.
    pub(super) fn health<T>(&self, does: impl FnOnce(&mut Health) -> T) -> T {
        does(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn dials(&self) {
        self.dials.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Says what has changed.
    pub(super) fn tell(&self, change: Option<Change>, error: Option<&dyn fmt::Display>) {
        let target = &*self.name;
        match change {
            Some(Change::WentDown) => {
                tracing::warn!(
                    target,
                    error = error.map(tracing::field::display),
                    "target is down"
                );
            }
            Some(Change::CameUp) => tracing::info!(target, "target is up"),
            None => {}
        }
    }

    fn status(&self) -> TargetStatus {
        TargetStatus {
            name: Arc::clone(&self.name),
            is_backup: self.is_backup,
            weight: self.weight,
            is_up: self.health(|health| health.is_up()),
            live: self.live(),
            dials: self.dials.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

// ===== impl Live =====

impl Live {
    pub(super) fn of(state: &Arc<State>) -> Self {
        state.live.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}
