use std::time::Duration;

use super::outcome::Outcome;

/// How long each unit took, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

// ===== impl Latencies =====

impl Latencies {
    pub(crate) fn with_capacity(units: usize) -> Self {
        Self(Vec::with_capacity(units))
    }

    pub(crate) fn push(&mut self, took: Duration) {
        self.0
            .push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn outcome(mut self, took: Duration) -> Outcome {
        self.0.sort_unstable();
        Outcome {
            p50: percentile(&self.0, 50),
            p99: percentile(&self.0, 99),
            ..Outcome::new(self.0.len() as u64, took)
        }
    }
}

/// The smallest value that this many percent don't exceed, in microseconds.
fn percentile(sorted: &[u32], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .map(|&nanos| f64::from(nanos) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let sorted: Vec<u32> = (1..=200).map(|n| n * 1000).collect();
        assert_eq!(percentile(&sorted, 50), Some(100.0));
        assert_eq!(percentile(&sorted, 99), Some(198.0));
        assert_eq!(percentile(&[7000], 50), Some(7.0));
        assert_eq!(percentile(&[7000], 99), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn the_order_of_the_values_does_not_matter() {
        let mut latencies = Latencies::with_capacity(2);
        latencies.push(Duration::from_micros(9));
        let mut more = Latencies::default();
        more.push(Duration::from_micros(1));
        more.push(Duration::from_micros(5));
        latencies.extend(more);
        let outcome = latencies.outcome(Duration::from_secs(1));
        assert_eq!(outcome.units, 3);
        assert_eq!((outcome.p50, outcome.p99), (Some(5.0), Some(9.0)));
    }
}
