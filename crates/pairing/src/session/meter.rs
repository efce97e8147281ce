use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use couplet_endpoint::Side;
use tokio::time::Instant;

/// How many bytes have been delivered each way, and when the last of them was.
///
/// The relay counts into it, and anybody may watch: watching costs the relay nothing.
#[derive(Debug)]
pub struct Meter {
    a_to_b: AtomicU64,
    b_to_a: AtomicU64,
    /// Milliseconds since the start, rounded down.
    progress: AtomicU64,
    start: Instant,
}

// ===== impl Meter =====

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            a_to_b: AtomicU64::new(0),
            b_to_a: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Counts bytes that came from `from` and were delivered to the other side.
    ///
    /// For the relay alone: two that count at once lose a count, because a read and a write are
    /// cheaper than an atomic addition and the relay is one task.
    pub fn add(&self, from: Side, bytes: u64) {
        let counter = self.counter(from);
        counter.store(counter.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
        let elapsed = self.start.elapsed().as_millis();
        self.progress.store(
            u64::try_from(elapsed).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// The bytes that came from `from` and were delivered to the other side.
    ///
    /// With a transform between, these are the bytes that came out of it.
    pub fn bytes(&self, from: Side) -> u64 {
        self.counter(from).load(Ordering::Relaxed)
    }

    /// When bytes were last delivered, or when the session began; exact to a millisecond.
    pub fn last_progress(&self) -> Instant {
        self.start + Duration::from_millis(self.progress.load(Ordering::Relaxed))
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    fn counter(&self, from: Side) -> &AtomicU64 {
        match from {
            Side::A => &self.a_to_b,
            Side::B => &self.b_to_a,
        }
    }
}
