//! What can be seen of a layer at work, for metrics.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use couplet_connector::layers::{HandshakeTimes, admission::limits::LimitCounts};

/// Of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerWatch {
    /// How long its handshakes took.
    pub(crate) times: Option<HandshakeTimes>,
    /// The counts of a limit with a queue.
    pub(crate) queue: Option<LimitCounts>,
    pub(crate) expiries: Expiries,
}

/// When certificates expire, by their files, as they were last read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiries(Arc<Mutex<Vec<(String, SystemTime)>>>);

// ===== impl LayerWatch =====

impl LayerWatch {
    /// Counts on where that of the relay before has begun.
    pub(crate) fn continues(&self, before: &Self) {
        if let (Some(times), Some(before)) = (&self.times, &before.times) {
            times.continues(before);
        }
    }
}

// ===== impl Expiries =====

impl Expiries {
    #[cfg(feature = "tls")]
    pub(crate) fn set(&self, mut all: Vec<(String, SystemTime)>) {
        all.sort();
        all.dedup_by(|one, other| one.0 == other.0);
        let known = self.0.lock();
        *known.unwrap_or_else(std::sync::PoisonError::into_inner) = all;
    }

    #[cfg(feature = "admin")]
    pub(crate) fn get(&self) -> Vec<(String, SystemTime)> {
        let all = self.0.lock();
        all.unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
