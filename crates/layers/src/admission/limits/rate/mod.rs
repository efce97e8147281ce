mod buckets;
mod rates;

#[cfg(test)]
pub(super) use self::buckets::CLIENTS;
pub use self::rates::Rates;

use std::{fmt, num::NonZeroU32, time::Duration};

use tower_layer::Layer;

use super::{
    counts::LimitCounts,
    key::Scope,
    queue::Over,
    service::{LimitService, Settings},
};

/// So many in a time: `10` in `1s`.
///
/// So many may come at once, and then one more whenever that fraction of the time has passed: after
/// a pause, up to twice as many come within the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    time: Duration,
}

/// Bounds the new connections in a time. See the [module](super).
///
/// A connection that a layer below refuses counts as well.
#[derive(Clone, Debug)]
pub struct ConnRateLayer {
    rate: Rate,
    settings: Settings,
}

// ===== impl Rate =====

impl Rate {
    /// So many in this time; a time of more than a year is taken as a year.
    pub fn new(count: NonZeroU32, time: Duration) -> Self {
        Self {
            count,
            time: time.min(YEAR),
        }
    }

    /// How many.
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// In what time.
    pub const fn time(self) -> Duration {
        self.time
    }
}

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration(self.time);
        write!(f, "{} in {time}", self.count)
    }
}

// ===== impl ConnRateLayer =====

impl ConnRateLayer {
    /// At most so many new connections of one address.
    pub fn per_address(rate: Rate) -> Self {
        Self {
            rate,
            settings: Settings::new(Scope::PerAddress),
        }
    }

    /// At most so many new connections.
    pub fn overall(rate: Rate) -> Self {
        Self {
            rate,
            settings: Settings::new(Scope::Overall),
        }
    }

    /// What becomes of connections beyond the rate. By default they are refused.
    #[must_use]
    pub fn over(mut self, over: Over) -> Self {
        self.settings.over = over;
        self
    }

    /// Counts there what becomes of connections.
    #[must_use]
    pub fn counts(mut self, counts: LimitCounts) -> Self {
        self.settings.counts = counts;
        self
    }
}

impl<S> Layer<S> for ConnRateLayer {
    type Service = LimitService<Rates, S>;

    fn layer(&self, inner: S) -> Self::Service {
        let rates = Rates::new(self.rate, self.settings.scope);
        self.settings.service(rates, inner)
    }
}
