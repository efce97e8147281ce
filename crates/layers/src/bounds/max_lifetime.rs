//! Ends a session when it has lasted for a time, however busy it is.
//!
//! The time runs from the join. A session that ends so has the reason
//! [`MaxLifetime`](couplet_pairing::CloseReason::MaxLifetime). tower's own `Timeout` does as much,
//! but drops the session: this one says why, and the relay still returns its summary.
//!
//! **Where:** anywhere on a pair stack. **Splice:** costs none. **Memory:** one timer a pair.

use std::time::Duration;

use couplet_pairing::{CloseReason, Session};
use tokio::time::Instant;
use tower_layer::Layer;

use super::timed::{TimeBound, Timed};

/// Ends sessions that have lasted for a time. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct MaxLifetimeLayer(Duration);

/// Ends sessions that have lasted for a time: made by [`MaxLifetimeLayer`].
pub type MaxLifetime<S> = Timed<S, MaxLifetimeLayer>;

// ===== impl MaxLifetimeLayer =====

impl MaxLifetimeLayer {
    /// Ends sessions that have lasted for `lifetime`.
    ///
    /// # Panics
    ///
    /// If the lifetime is zero: every session would end at once.
    pub const fn new(lifetime: Duration) -> Self {
        assert!(!lifetime.is_zero(), "a lifetime is more than zero");
        Self(lifetime)
    }
}

impl<S> Layer<S> for MaxLifetimeLayer {
    type Service = MaxLifetime<S>;

    fn layer(&self, inner: S) -> MaxLifetime<S> {
        Timed::new(inner, *self)
    }
}

impl TimeBound for MaxLifetimeLayer {
    const REASON: CloseReason = CloseReason::MaxLifetime;

    fn first_look(self, session: &Session) -> Duration {
        self.0.saturating_sub(session.duration())
    }

    fn due(self, session: &Session) -> Instant {
        session.since() + self.0
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use couplet_endpoint::{Conn, Origin, Side};
    use couplet_pairing::Pair;
    use tokio::io::AsyncWriteExt;
    use tokio_test::{assert_pending, task};
    use tower::{Service, service_fn};

    use super::*;
    use crate::testing::{Relayed, assert_reset, read_all, read_some, relay};

    #[tokio::test(start_paused = true)]
    async fn a_busy_session_is_closed_at_its_lifetime() {
        let pair = Pair::new(
            Conn::new((), Origin::Accepted),
            Conn::new((), Origin::Dialled),
        );
        let session = pair.session.handle();
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut service = MaxLifetimeLayer::new(Duration::from_secs(10))
            .layer(service_fn(|_: Pair<(), ()>| pending::<Result<(), ()>>()));
        let mut serving = task::spawn(service.call(pair));

        assert_pending!(serving.poll());
        tokio::time::advance(Duration::from_millis(8999)).await;
        session.meter().add(Side::A, 1);
        assert_pending!(serving.poll());
        assert_eq!(session.close_requested(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(serving.is_woken());
        assert_pending!(serving.poll());
        assert_eq!(session.close_requested(), Some(CloseReason::MaxLifetime));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_pair_ends_with_its_summary() {
        let layer = MaxLifetimeLayer::new(Duration::from_secs(10));
        let Relayed {
            mut a, mut b, end, ..
        } = relay(layer, 64);
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            a.write_all(b"busy").await.unwrap();
            assert_eq!(read_some(&mut b, 4).await, b"busy");
        }
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::MaxLifetime);
        assert_eq!(summary.duration, Duration::from_secs(10));
        assert_eq!(summary.a_to_b, 36);
        assert_reset(&read_all(&mut a).await.1);
        assert_reset(&read_all(&mut b).await.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pair_that_ends_by_itself_keeps_its_reason() {
        let layer = MaxLifetimeLayer::new(Duration::from_secs(10));
        let Relayed { a, b, end, .. } = relay(layer, 64);
        drop((a, b));
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(Side::A));
        assert_eq!(summary.duration, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lifetime_may_be_the_longest_duration() {
        let Relayed { a, b, end, .. } = relay(MaxLifetimeLayer::new(Duration::MAX), 64);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        drop((a, b));
        assert!(end.await.unwrap().unwrap().reason.is_clean());
    }
}
