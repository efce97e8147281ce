use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts what becomes of the connections that meet a limit. Cheap to clone; clones are the same.
///
/// Given to several layers, it counts for all of them.
#[derive(Clone, Debug, Default)]
pub struct LimitCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    admitted: AtomicU64,
    refused: AtomicU64,
    waiting: AtomicU64,
}

/// Counts as waiting until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(LimitCounts);

// ===== impl LimitCounts =====

impl LimitCounts {
    /// With nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections were let in, at once or after a wait.
    pub fn admitted(&self) -> u64 {
        self.0.admitted.load(Ordering::Relaxed)
    }

    /// How many connections were closed: over the limit, with the queue full, or because their turn
    /// did not come in time. Clients that left the queue by themselves are not counted.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How many connections wait now.
    pub fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn admit(&self) {
        self.0.admitted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wait(&self) -> Waiting {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }
}

// ===== impl Waiting =====

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
