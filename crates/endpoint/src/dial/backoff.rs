use std::time::Duration;

/// The shortest pause: without it a dial that fails at once could spin.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long to pause before dialling again.
///
/// The pause after the first failure is [`first`](Self::first), 500 ms, and each is
/// [`factor`](Self::factor) times, twice, as long as the one before. It grows up to
/// [`dial_max`](Self::dial_max), 3 s, while dials fail, so that a peer that comes back is found soon;
/// and up to [`max`](Self::max), 60 s, while connections are made and fail, as where a
/// peer refuses every connection.
///
/// A random [`jitter`](Self::jitter) of ±20 % keeps many that failed at the same time from dialling
/// again at the same time, and a [pool](crate::pool) [spreads](Self::spread_over) its dials over a
/// second. No pause is shorter than a millisecond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    dial_max: Duration,
    factor: u32,
    jitter: f64,
    spread: Duration,
    reset_after: Duration,
}

/// What failed: the dial, or the connection that it made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fruitless {
    /// The peer was not reached.
    Dial,
    /// The peer was reached, and the connection was of no use.
    Connection,
}

// ===== impl Backoff =====

impl Backoff {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_secs(60),
            dial_max: Duration::from_secs(3),
            factor: 2,
            jitter: 0.2,
            spread: Duration::from_secs(1),
            reset_after: Duration::from_secs(10),
        }
    }

    /// The pause after the first failure. 500 ms by default.
    #[must_use]
    pub const fn first(mut self, pause: Duration) -> Self {
        self.first = pause;
        self
    }

    /// The longest pause of all, before jitter. 60 s by default.
    #[must_use]
    pub const fn max(mut self, pause: Duration) -> Self {
        self.max = pause;
        self
    }

    /// The longest pause after a dial that failed, before jitter; never longer than
    /// [`max`](Self::max). 3 s by default.
    #[must_use]
    pub const fn dial_max(mut self, pause: Duration) -> Self {
        self.dial_max = pause;
        self
    }

    /// The factor by which each pause is longer than the one before. 2 by default.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// The largest random share by which a pause is longer or shorter: from 0 (exact) to 1 (up to
    /// twice as long). Values outside are clamped. 0.2 by default.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        // Not `clamp`, which lets NaN through.
        self.jitter = share.max(0.0).min(1.0);
        self
    }

    /// The time over which a [pool](crate::pool) spreads the dials of connections that were lost
    /// together. 1 s by default; has no effect without [jitter](Self::jitter).
    #[must_use]
    pub const fn spread_over(mut self, time: Duration) -> Self {
        self.spread = time;
        self
    }

    /// How long a connection must last for its dial to count as a success, after which the next failure
    /// is a first one again. 10 s by default.
    #[must_use]
    pub const fn reset_after(mut self, lasted: Duration) -> Self {
        self.reset_after = lasted;
        self
    }

    /// The pause after a dial that failed, when that many failed before it in a row.
    pub fn after_dial(&self, failed_before: u32) -> Duration {
        self.pause(failed_before, Fruitless::Dial)
    }

    /// Whether a connection has lasted long enough.
    pub(super) fn is_reset_by(&self, lasted: Duration) -> bool {
        lasted >= self.reset_after
    }

    /// A random part of the time over which dials are spread.
    pub(super) fn spread(&self) -> Duration {
        match self.jitter > 0.0 {
            true => self.spread.mul_f64(fastrand::f64()),
            false => Duration::ZERO,
        }
    }

    /// The pause after one more failure than there were `before`.
    pub(super) fn pause(&self, before: u32, why: Fruitless) -> Duration {
        let factor = self.factor.checked_pow(before).unwrap_or(u32::MAX);
        let max = match why {
            Fruitless::Dial => self.max.min(self.dial_max),
            Fruitless::Connection => self.max,
        };
        let pause = self.first.saturating_mul(factor).min(max);
        let jitter = 1.0 + self.jitter * (2.0 * fastrand::f64() - 1.0);
        Duration::try_from_secs_f64(pause.as_secs_f64() * jitter)
            .unwrap_or(self.max)
            .max(SHORTEST)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let exact = Backoff::new().jitter(0.0);
        let pauses: Vec<_> = (0..9)
            .map(|before| exact.pause(before, Fruitless::Connection).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(
            exact.pause(u32::MAX, Fruitless::Connection),
            Duration::from_secs(60)
        );
        assert_eq!(exact.pause(2, Fruitless::Dial), Duration::from_secs(2));
        assert_eq!(exact.pause(3, Fruitless::Dial), Duration::from_secs(3));
    }

    #[test]
    fn jitter_goes_both_ways_and_not_too_far() {
        let pauses: Vec<_> = (0..1000)
            .map(|_| Backoff::new().pause(1, Fruitless::Connection).as_secs_f64())
            .collect();
        assert!(pauses.iter().all(|pause| (0.8..=1.2).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < 0.9));
        assert!(pauses.iter().any(|pause| *pause > 1.1));
    }

    #[test]
    fn no_setting_panics_or_spins() {
        for share in [f64::NAN, f64::INFINITY, -1.0] {
            let long = Backoff::new().first(Duration::MAX).max(Duration::MAX);
            long.jitter(share).pause(3, Fruitless::Connection);
            assert_eq!(
                long.jitter(share).factor(0).pause(3, Fruitless::Dial),
                SHORTEST
            );
        }
    }
}
