use std::{
    pin::Pin,
    task::{Context, Poll},
};

use couplet_pairing::{OwnedSession, Pair, Session};
use pin_project::pin_project;
use tower_service::Service;

use super::Stats;
use crate::accessors::layer_and_service;

/// Counts pairs and their bytes, and lists the live ones. See the [module](super).
#[derive(Clone, Debug)]
pub struct StatsLayer(Stats);

/// Counts pairs: made by [`StatsLayer`].
#[derive(Clone, Debug)]
pub struct StatsService<S> {
    layer: StatsLayer,
    inner: S,
}

/// The future of [`StatsService`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct StatsFuture<F> {
    #[pin]
    inner: F,
    // Behind `inner`, so that it is dropped last: a session counts as live until its relay is gone.
    live: Live,
}

/// Counts a session as live until this is dropped.
#[derive(Debug)]
struct Live {
    stats: Stats,
    session: Session,
}

// ===== impl StatsLayer =====

impl StatsLayer {
    /// A layer that counts in `stats`.
    pub const fn new(stats: Stats) -> Self {
        Self(stats)
    }
}

layer_and_service!(StatsLayer => StatsService);

// ===== impl StatsService =====

impl<A, B, S: Service<Pair<A, B>>> Service<Pair<A, B>> for StatsService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = StatsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        StatsFuture {
            live: Live::new(self.layer.0.clone(), &pair.session),
            inner: self.inner.call(pair),
        }
    }
}

impl<F: Future> Future for StatsFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}

// ===== impl Live =====

impl Live {
    fn new(stats: Stats, session: &OwnedSession) -> Self {
        session.count_in(stats.moved().clone());
        let session = session.handle();
        stats.pairs().begins(&session);
        Self { stats, session }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stats.pairs().ends(&self.session);
    }
}
