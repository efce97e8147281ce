//! Sessions from their beginning to their end: told in the log and to the hooks, and ended with
//! the connector.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Side};
use couplet_pairing::{CloseReason, Pair, Session};
use pin_project::pin_project;
use tower::{Layer, Service};

use crate::{error::Causes, lifecycle::Lifecycle, settings::Hooks};

#[derive(Clone, Debug)]
pub(crate) struct TrackLayer {
    lifecycle: Arc<Lifecycle>,
    hooks: Hooks,
}

#[derive(Debug)]
pub(crate) struct Track<S> {
    layer: TrackLayer,
    inner: S,
}

#[pin_project]
#[derive(Debug)]
pub(crate) struct TrackFuture<F> {
    #[pin]
    inner: F,
    // Behind `inner`, so that it is dropped when the session has ended.
    tracked: Tracked,
}

/// A session that has begun, until it is dropped.
#[derive(Debug)]
struct Tracked {
    session: Session,
    layer: TrackLayer,
    joined: bool,
    error: Option<String>,
}

// ===== impl TrackLayer =====

impl TrackLayer {
    pub(crate) fn new(lifecycle: Arc<Lifecycle>, hooks: Hooks) -> Self {
        Self { lifecycle, hooks }
    }
}

impl<S> Layer<S> for TrackLayer {
    type Service = Track<S>;

    fn layer(&self, inner: S) -> Track<S> {
        Track {
            layer: self.clone(),
            inner,
        }
    }
}

// ===== impl Track =====

impl<A, B, S> Service<Pair<A, B>> for Track<S>
where
    S: Service<Pair<A, B>>,
    S::Error: Into<BoxError>,
{
    type Response = ();
    type Error = S::Error;
    type Future = TrackFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let tracked = Tracked::new(pair.session.handle(), self.layer.clone());
        TrackFuture {
            inner: self.inner.call(pair),
            tracked,
        }
    }
}

impl<F, T, E> Future for TrackFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let session = &this.tracked.session;
        // A step before the join knows nothing of a close: it is dropped. The relay does.
        if !session.is_relaying() && session.poll_close_requested(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let result = this.inner.poll(cx);
        this.tracked.look_for_join();
        if let Err(error) = ready!(result) {
            this.tracked.fails(error.into());
        }
        Poll::Ready(Ok(()))
    }
}

// ===== impl Tracked =====

impl Tracked {
    fn new(session: Session, layer: TrackLayer) -> Self {
        layer.lifecycle.begins(&session);
        Self {
            session,
            layer,
            joined: false,
            error: None,
        }
    }

    fn look_for_join(&mut self) {
        if self.joined || !self.session.is_relaying() {
            return;
        }
        self.joined = true;
        tracing::info!(
            session = %self.session.id(),
            a = %self.session.info(Side::A).peer_name(),
            b = %self.session.info(Side::B).peer_name(),
            "joined",
        );
        self.layer.lifecycle.joined(&self.session);
        if let Some(joined) = &self.layer.hooks.joined {
            joined(&self.session);
        }
    }

    fn fails(&mut self, error: BoxError) {
        self.error = Some(Causes(&*error).to_string());
        if !self.joined {
            self.layer.lifecycle.pair_refused(error);
        }
    }

    fn tell_end(&self, reason: CloseReason) {
        let meter = self.session.meter();
        tracing::info!(
            session = %self.session.id(),
            a = %self.session.info(Side::A).peer_name(),
            b = %self.session.info(Side::B).peer_name(),
            a_to_b = meter.bytes(Side::A),
            b_to_a = meter.bytes(Side::B),
            duration = ?self.session.duration(),
            %reason,
            error = self.error,
            "ended",
        );
        if self.joined
            && let Some(ended) = &self.layer.hooks.ended
        {
            // Caught, because this may be the end of a session that panicked already.
            let _ = catch_unwind(AssertUnwindSafe(|| ended(&self.session, reason)));
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Set by now: whatever owned the session was dropped before.
        let reason = self.session.end_reason().unwrap_or(CloseReason::Dropped);
        self.tell_end(reason);
        self.layer.lifecycle.ended();
    }
}
