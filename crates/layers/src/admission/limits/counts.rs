use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts the admitted, refused and waiting connections of a limit. Cheap to clone; clones are one.
///
/// Several layers may count together.
#[derive(Clone, Debug, Default)]
pub struct LimitCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    admitted: AtomicU64,
    refused: AtomicU64,
    waiting: AtomicU64,
}

/// Counts a connection as waiting until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(LimitCounts);

// ===== impl LimitCounts =====

impl LimitCounts {
    /// Counts that begin at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of connections admitted, at once or after a wait.
    pub fn admitted(&self) -> u64 {
        self.0.admitted.load(Ordering::Relaxed)
    }

    /// The number of connections closed: over the limit, with the queue full, or at the deadline of the
    /// queue. Clients that left the queue by themselves are not counted.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// The number of connections that wait now.
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
