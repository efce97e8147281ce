use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Chain, Side};
use couplet_pairing::{CloseReason, Pair, Session};
use couplet_relay::RelayError;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{AccessLog, End, Leg, Record, entry::Tracked};

/// Writes a record of each pair that has ended. For the top of the pair stack. See the
/// [module](super).
#[derive(Clone, Debug)]
pub struct AccessLogLayer(AccessLog);

/// Writes records of pairs: made by [`AccessLogLayer`].
#[derive(Clone, Debug)]
pub struct AccessLogService<S> {
    log: AccessLog,
    inner: S,
}

/// The future of [`AccessLogService`]. A drop before the end writes the record, too.
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AccessLogFuture<F> {
    #[pin]
    inner: F,
    // Behind `inner`, so that it is dropped when the session has ended.
    live: Live,
}

/// A session whose record is made when it is dropped.
#[derive(Debug)]
struct Live {
    log: AccessLog,
    session: Session,
    error: Option<String>,
}

// ===== impl AccessLogLayer =====

impl AccessLogLayer {
    /// A layer that writes its records to `log`.
    pub const fn new(log: AccessLog) -> Self {
        Self(log)
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessLogService {
            log: self.0.clone(),
            inner,
        }
    }
}

// ===== impl AccessLogService =====

impl<S> AccessLogService<S> {
    crate::accessors::inner_accessors!();
}

impl<A, B, S> Service<Pair<A, B>> for AccessLogService<S>
where
    S: Service<Pair<A, B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let live = Live::new(self.log.clone(), pair.session.handle());
        AccessLogFuture {
            inner: self.inner.call(pair),
            live,
        }
    }
}

impl<F, T, E> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        if let Err(error) = &result {
            this.live.error = Some(text(error));
        }
        Poll::Ready(result)
    }
}

/// The text of an error. Of the relay's error only the cause, because the record has the rest.
fn text(error: &BoxError) -> String {
    let cause = error
        .downcast_ref::<RelayError>()
        .and_then(RelayError::source);
    Chain(cause.unwrap_or(&**error)).to_string()
}

// ===== impl Live =====

impl Live {
    fn new(log: AccessLog, session: Session) -> Self {
        for side in [Side::A, Side::B] {
            if let Some(Tracked(entry)) = session.info(side).extensions.get() {
                entry.joined();
            }
        }
        Self {
            log,
            session,
            error: None,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let session = &self.session;
        // Set by now, because the owner of the session was dropped before.
        let reason = session.end_reason().unwrap_or(CloseReason::Dropped);
        let leg = |side| Some(Leg::of(session.info(side), session.since()));
        self.log.log(&Record {
            time: self.log.now(),
            end: End::Pair(reason),
            error: self.error.take(),
            session: Some(session.id()),
            duration: session.duration(),
            a_to_b: session.meter().bytes(Side::A),
            b_to_a: session.meter().bytes(Side::B),
            a: leg(Side::A),
            b: leg(Side::B),
        });
    }
}
