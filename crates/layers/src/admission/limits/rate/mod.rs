mod buckets;
mod rates;

#[cfg(test)]
pub(super) use self::buckets::CLIENTS;
pub use self::rates::Rates;

use std::{fmt, num::NonZeroU32, time::Duration};

use tower_layer::Layer;

use super::{
    key::Scope,
    service::{LimitService, Settings},
};

/// A number of connections in a time: `10` in `1s`.
///
/// A token bucket: the whole number may come at once, then one more each fraction of the time (100 ms
/// in the example). So up to twice the number may come within the time after a pause.
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
    /// Of all services together.
    shared: Option<Rates>,
}

// ===== impl Rate =====

impl Rate {
    /// `count` connections in this time; more than a year is taken as a year.
    pub fn new(count: NonZeroU32, time: Duration) -> Self {
        Self {
            count,
            time: time.min(YEAR),
        }
    }

    /// The number of connections.
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The time.
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
    /// Bounds the new connections of each address.
    pub fn per_address(rate: Rate) -> Self {
        Self {
            rate,
            settings: Settings::new(Scope::PerAddress),
            shared: None,
        }
    }

    /// Bounds all new connections together.
    pub fn overall(rate: Rate) -> Self {
        Self {
            rate,
            settings: Settings::new(Scope::Overall),
            shared: None,
        }
    }

    /// Counts the connections of all services that this layer and its clones make together: as
    /// [`ConnLimitLayer::shared`](super::ConnLimitLayer::shared).
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = Some(Rates::new(self.rate, self.settings.scope));
        self
    }

    super::service::setters!();
}

impl<S> Layer<S> for ConnRateLayer {
    type Service = LimitService<Rates, S>;

    fn layer(&self, inner: S) -> Self::Service {
        let rates = self.shared.clone();
        let rates = rates.unwrap_or_else(|| Rates::new(self.rate, self.settings.scope));
        self.settings.service(rates, inner)
    }
}
