//! Follows sessions from begin to end: logs them, tells the observers, and ends them with the connector.

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Chain, Side};
use couplet_pairing::{CloseReason, Pair, Session};
use pin_project::pin_project;
use tower::{Layer, Service};

use crate::{RelayEvent, lifecycle::Lifecycle};

#[derive(Clone, Debug)]
pub(crate) struct TrackLayer(Arc<Lifecycle>);

#[derive(Debug)]
pub(crate) struct Track<S> {
    lifecycle: Arc<Lifecycle>,
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

/// A session that has begun; its drop is the end.
#[derive(Debug)]
struct Tracked {
    session: Session,
    lifecycle: Arc<Lifecycle>,
    joined: bool,
    error: Option<Arc<dyn StdError + Send + Sync>>,
}

// ===== impl TrackLayer =====

impl TrackLayer {
    pub(crate) fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self(lifecycle)
    }
}

impl<S> Layer<S> for TrackLayer {
    type Service = Track<S>;

    fn layer(&self, inner: S) -> Track<S> {
        Track {
            lifecycle: Arc::clone(&self.0),
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
        let tracked = Tracked::new(pair.session.handle(), Arc::clone(&self.lifecycle));
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
        // A step before the join does not watch the close switch, so it is dropped. The relay does.
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
    fn new(session: Session, lifecycle: Arc<Lifecycle>) -> Self {
        lifecycle.begins(&session);
        Self {
            session,
            lifecycle,
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
            session = self.session.id().get(),
            a = %self.session.info(Side::A).peer_name(),
            b = %self.session.info(Side::B).peer_name(),
            "joined",
        );
        self.lifecycle.joined(&self.session);
        self.lifecycle
            .observers()
            .tell(&RelayEvent::Joined(&self.session));
    }

    fn fails(&mut self, error: BoxError) {
        let error: Arc<dyn StdError + Send + Sync> = error.into();
        if !self.joined {
            self.lifecycle.pair_refused(Arc::clone(&error));
        }
        self.error = Some(error);
    }

    fn tell_end(&self, reason: CloseReason) {
        let error = self
            .error
            .as_deref()
            .map(|error| error as &(dyn StdError + 'static));
        let meter = self.session.meter();
        tracing::info!(
            session = self.session.id().get(),
            a = %self.session.info(Side::A).peer_name(),
            b = %self.session.info(Side::B).peer_name(),
            a_to_b = meter.bytes(Side::A),
            b_to_a = meter.bytes(Side::B),
            duration = self.session.duration().as_secs_f64(),
            %reason,
            error = error.map(|error| Chain(error).to_string()),
            "ended",
        );
        if self.joined {
            self.lifecycle.observers().tell(&RelayEvent::Ended {
                session: &self.session,
                reason,
                error,
            });
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Set by now, because the owner of the session was dropped before.
        let reason = self.session.end_reason().unwrap_or(CloseReason::Dropped);
        self.tell_end(reason);
        self.lifecycle.ended(self.joined.then_some(reason));
    }
}
