use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use crate::observe::stats::Histogram;

/// The durations of the handshakes of a layer that went through. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct HandshakeTimes(Arc<OnceLock<Arc<Mutex<Histogram>>>>);

// ===== impl HandshakeTimes =====

impl HandshakeTimes {
    /// A count that begins at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been counted.
    pub fn histogram(&self) -> Histogram {
        self.lock().clone()
    }

    /// Counts on where `before` has begun, from now on in one. Has no effect once this one has counted.
    pub fn continues(&self, before: &Self) {
        let _ = self.0.set(Arc::clone(before.shared()));
    }

    pub(super) fn add(&self, took: Duration) {
        self.lock().add(took);
    }

    fn shared(&self) -> &Arc<Mutex<Histogram>> {
        self.0
            .get_or_init(|| Arc::new(Mutex::new(Histogram::of_handshakes())))
    }

    fn lock(&self) -> MutexGuard<'_, Histogram> {
        // Whatever panicked, the counts are whole.
        self.shared().lock().unwrap_or_else(PoisonError::into_inner)
    }
}
