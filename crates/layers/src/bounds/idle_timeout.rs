//! Ends a session when no byte has come from either side for a time.
//!
//! It watches the session's meter and wraps no io. Keep-alive and `TCP_USER_TIMEOUT` find peers
//! that vanished; this finds those that are there and say nothing, or never read. There is no
//! idle timeout by default, because an idle `ssh` session must live; for a public relay an hour is
//! a good one.
//!
//! A session is idle when no byte is written to either peer, and the system sends none of those that
//! it holds (on Linux: `TCP_INFO`). So a slow client is not cut while it takes what was sent, and one
//! that never reads is. A pair that waits for its turn under a [bandwidth](crate::bounds::bandwidth) bound is not idle while it
//! does. The time runs from when a pair comes to this layer. A session that ends so has the reason
//! [`IdleTimeout`](couplet_pairing::CloseReason::IdleTimeout).
//!
//! **Where:** anywhere on a pair stack. **Splice:** costs none. **Memory:** one timer a pair, which
//! is set again only when it fires, never per byte.

use std::time::Duration;

use couplet_pairing::{CloseReason, Session};
use tokio::time::Instant;
use tower_layer::Layer;

use super::timed::{TimeBound, Timed};

/// Ends sessions that are idle for a time. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct IdleTimeoutLayer(Duration);

/// Ends sessions that are idle: made by [`IdleTimeoutLayer`].
pub type IdleTimeout<S> = Timed<S, IdleTimeoutLayer>;

// ===== impl IdleTimeoutLayer =====

impl IdleTimeoutLayer {
    /// Ends sessions that have been idle for `timeout`.
    ///
    /// # Panics
    ///
    /// If the timeout is zero: every session would end at once.
    pub const fn new(timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "an idle timeout is more than zero");
        Self(timeout)
    }
}

impl<S> Layer<S> for IdleTimeoutLayer {
    type Service = IdleTimeout<S>;

    fn layer(&self, inner: S) -> IdleTimeout<S> {
        Timed::new(inner, *self)
    }
}

impl TimeBound for IdleTimeoutLayer {
    const REASON: CloseReason = CloseReason::IdleTimeout;

    fn first_look(self, _: &Session) -> Duration {
        self.0
    }

    fn due(self, session: &Session) -> Instant {
        session.meter().last_progress() + self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, task::Poll};

    use couplet_endpoint::{Conn, Origin, Side};
    use couplet_pairing::Pair;
    use tokio::io::AsyncWriteExt;
    use tokio_test::{assert_pending, task};
    use tower::{Service, service_fn};

    use super::*;
    use crate::testing::{Relayed, assert_reset, read_all, read_some, relay};

    fn pair() -> Pair<(), ()> {
        Pair::new(
            Conn::new((), Origin::Accepted),
            Conn::new((), Origin::Dialled),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_from_the_last_byte() {
        let pair = pair();
        let session = pair.session.handle();
        let mut service = IdleTimeoutLayer::new(Duration::from_secs(10))
            .layer(service_fn(|_: Pair<(), ()>| pending::<Result<(), ()>>()));
        let mut serving = task::spawn(service.call(pair));

        assert_pending!(serving.poll());
        tokio::time::advance(Duration::from_secs(9)).await;
        session.meter().add(Side::B, 1);
        tokio::time::advance(Duration::from_millis(9999)).await;
        assert_pending!(serving.poll());
        assert_eq!(session.close_requested(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(serving.is_woken());
        assert_pending!(serving.poll());
        assert_eq!(session.close_requested(), Some(CloseReason::IdleTimeout));
    }

    /// The relay answers for the system, which sends for 25 seconds more.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_what_was_written_before_is_not_idle() {
        let pair = pair();
        let session = pair.session.handle();
        let (began, relay) = (Instant::now(), session.clone());
        let relaying = move |_: Pair<(), ()>| {
            let relay = relay.clone();
            std::future::poll_fn(move |_| -> Poll<Result<(), ()>> {
                if relay.meter().is_asked_for_sent() {
                    let last = began + Duration::from_secs(25);
                    relay.meter().sent(Instant::now().min(last));
                }
                Poll::Pending
            })
        };
        let mut service =
            IdleTimeoutLayer::new(Duration::from_secs(10)).layer(service_fn(relaying));
        let mut serving = task::spawn(service.call(pair));
        assert_pending!(serving.poll());
        for _ in 0..34 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_pending!(serving.poll());
            assert_eq!(session.close_requested(), None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(serving.is_woken());
        assert_pending!(serving.poll());
        assert_eq!(session.close_requested(), Some(CloseReason::IdleTimeout));
    }

    #[tokio::test(start_paused = true)]
    async fn no_timer_is_set_by_a_byte() {
        let pair = pair();
        let session = pair.session.handle();
        let mut service = IdleTimeoutLayer::new(Duration::from_secs(10))
            .layer(service_fn(|_: Pair<(), ()>| pending::<Result<(), ()>>()));
        let mut serving = task::spawn(service.call(pair));
        assert_pending!(serving.poll());
        let mut wakes = 0;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            session.meter().add(Side::A, 1);
            if serving.is_woken() {
                wakes += 1;
            }
            assert_pending!(serving.poll());
        }
        assert_eq!(session.close_requested(), None);
        // Every ten seconds, and a bit less as the last byte is a bit older then.
        assert!((9..=11).contains(&wakes), "{wakes} wakes in 100 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_pair_ends_with_its_summary() {
        let layer = IdleTimeoutLayer::new(Duration::from_secs(10));
        let Relayed {
            mut a, mut b, end, ..
        } = relay(layer, 64);
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(9)).await;
            b.write_all(b"still here").await.unwrap();
            assert_eq!(read_some(&mut a, 10).await, b"still here");
        }
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::IdleTimeout);
        assert_eq!(summary.duration, Duration::from_secs(55));
        assert_eq!(summary.b_to_a, 50);
        assert_reset(&read_all(&mut a).await.1);
        assert_reset(&read_all(&mut b).await.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_idle() {
        let layer = IdleTimeoutLayer::new(Duration::from_secs(10));
        let Relayed {
            mut a, b: _b, end, ..
        } = relay(layer, 64);
        // More than the relay and the connection hold.
        let writing = tokio::spawn(async move { a.write_all(&[b'x'; 256 * 1024]).await });
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::IdleTimeout);
        assert_eq!(summary.a_to_b, 64);
        writing.await.unwrap().unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pair_that_ends_by_itself_keeps_its_reason() {
        let layer = IdleTimeoutLayer::new(Duration::from_secs(10));
        let Relayed { a, b, end, .. } = relay(layer, 64);
        drop((a, b));
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(Side::A));
        assert_eq!(summary.duration, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_may_be_the_longest_duration() {
        let Relayed { a, b, end, .. } = relay(IdleTimeoutLayer::new(Duration::MAX), 64);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        drop((a, b));
        assert!(end.await.unwrap().unwrap().reason.is_clean());
    }
}
