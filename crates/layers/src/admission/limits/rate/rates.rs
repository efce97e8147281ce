use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use governor::{Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware};
use tokio::time::Instant;

use super::{
    super::{
        error::Limit,
        key::{Client, Scope},
        limiter::Limiter,
        table::Table,
    },
    Rate,
    buckets::Buckets,
};

/// The longest time for which a client with a recovered rate is kept.
const SWEEP: Duration = Duration::from_secs(60);

/// The rates of recent clients. Clones share them.
#[derive(Clone, derive_more::Debug)]
pub struct Rates {
    rate: Rate,
    scope: Scope,
    // The limiter's own ways to wait use a clock that can't be paused.
    #[debug(skip)]
    shared: Arc<Shared>,
}

struct Shared {
    limiter: RateLimiter<Client, Buckets, TokioClock, NoOpMiddleware<Duration>>,
    /// The first in line waits for the time, the others for their turn.
    turns: Arc<Table>,
    swept: Mutex<Instant>,
}

/// The time since this was made, on tokio's clock.
struct TokioClock(Instant);

// ===== impl Rates =====

impl Rates {
    pub(super) fn new(rate: Rate, scope: Scope) -> Self {
        let each = (rate.time / rate.count.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(each)
            .expect("it is more than nothing")
            .allow_burst(rate.count);
        let start = Instant::now();
        let shared = Shared {
            limiter: RateLimiter::new(quota, Buckets::default(), TokioClock(start)),
            turns: Arc::new(Table::new(1)),
            swept: Mutex::new(start),
        };
        Self {
            rate,
            scope,
            shared: Arc::new(shared),
        }
    }
}

impl Limiter for Rates {
    type Permit = ();
    type Io<I: Send + 'static> = I;

    fn try_admit(&self, client: Client) -> Option<()> {
        // No connection waits where those beyond the rate are refused.
        if self.shared.turns.has(client) {
            return None;
        }
        self.shared.check(client).ok()
    }

    fn admit(&self, client: Client) -> BoxFuture<'static, ()> {
        let turn = self.shared.turns.enter(client).acquire();
        let shared = Arc::clone(&self.shared);
        async move {
            let _turn = turn.await;
            while let Err(wait) = shared.check(client) {
                tokio::time::sleep(wait).await;
            }
        }
        .boxed()
    }

    fn hold<I: Send + 'static>(io: I, (): ()) -> I {
        io
    }

    fn limit(&self) -> Limit {
        match self.scope {
            Scope::PerAddress => Limit::RatePerAddress(self.rate),
            Scope::Overall => Limit::Rate(self.rate),
        }
    }
}

#[cfg(test)]
impl Rates {
    pub(crate) fn remembered(&self) -> usize {
        self.shared.limiter.len()
    }

    pub(crate) fn waited_for(&self) -> usize {
        self.shared.turns.len()
    }
}

// ===== impl Shared =====

impl Shared {
    /// Takes one from the client's rate, or returns the time until there is one.
    fn check(&self, client: Client) -> Result<(), Duration> {
        self.sweep();
        let now = || self.limiter.clock().now();
        let checked = self.limiter.check_key(&client);
        checked.map_err(|until| until.wait_time_from(now()))
    }

    /// From time to time, forgets clients whose rate has recovered.
    fn sweep(&self) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.elapsed() >= SWEEP {
            *swept = Instant::now();
            drop(swept);
            self.limiter.retain_recent();
        }
    }
}

// ===== impl TokioClock =====

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
