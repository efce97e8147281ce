use std::time::Duration;

/// Durations, counted in buckets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Histogram {
    /// The buckets' upper bounds, inclusive, in seconds. A last one has no bound.
    pub bounds: &'static [f64],
    /// The number of durations in each bucket, without those of the buckets below; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    pub sum: Duration,
}

/// Bounds for handshakes and dials.
pub(super) const SHORT: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounds for waiting connections.
pub(super) const WAIT: &[f64] = &[0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// Bounds for pairs.
pub(super) const PAIR: &[f64] = &[
    0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0,
];

// ===== impl Histogram =====

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: Duration::ZERO,
        }
    }

    /// One of handshakes, empty.
    pub(crate) fn of_handshakes() -> Self {
        Self::new(SHORT)
    }

    /// The number of all durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(WAIT);
        for millis in [0, 10, 11, 100, 1_800_000, 1_800_001] {
            histogram.add(Duration::from_millis(millis));
        }
        assert_eq!(histogram.counts, [2, 2, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(histogram.count(), 6);
        assert_eq!(histogram.sum, Duration::from_millis(3_600_122));
    }
}
