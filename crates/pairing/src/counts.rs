use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use couplet_endpoint::Side;

/// How the connections of a pairing fare before they are joined, side by side. Cheap to clone;
/// clones show the same counts.
#[derive(Clone, Debug, Default)]
pub struct WaitingCounts(Arc<[SideCounts; 2]>);

#[derive(Debug, Default)]
pub(crate) struct SideCounts {
    waiting: AtomicU64,
    died: AtomicU64,
    expired: AtomicU64,
}

// ===== impl WaitingCounts =====

impl WaitingCounts {
    /// How many connections of that side wait for a partner now.
    pub fn waiting(&self, side: Side) -> u64 {
        self.side(side).waiting.load(Ordering::Relaxed)
    }

    /// How many went away while they waited.
    pub fn died(&self, side: Side) -> u64 {
        self.side(side).died.load(Ordering::Relaxed)
    }

    /// How many were let go because no partner had come in time.
    pub fn expired(&self, side: Side) -> u64 {
        self.side(side).expired.load(Ordering::Relaxed)
    }

    pub(crate) fn side(&self, side: Side) -> &SideCounts {
        &self.0[side as usize]
    }
}

// ===== impl SideCounts =====

impl SideCounts {
    pub(crate) fn entered(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn died(&self) {
        self.died.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn expired(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
    }
}
