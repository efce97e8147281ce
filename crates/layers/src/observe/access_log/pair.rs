use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use couplet_endpoint::{BoxError, Chain, QuietTimer, RelayName, Side};
use couplet_pairing::{CloseReason, Pair, Session};
use couplet_relay::RelayError;
use pin_project::pin_project;
use tower_service::Service;

use super::{AccessLog, End, Leg, Record, entry::Tracked};
use crate::accessors::layer_and_service;

/// Writes a record of each pair that has ended. For the top of the pair stack. See the
/// [module](super).
#[derive(Clone, Debug)]
pub struct AccessLogLayer {
    log: AccessLog,
    every: Option<Duration>,
}

/// Writes records of pairs: made by [`AccessLogLayer`].
#[derive(Clone, Debug)]
pub struct AccessLogService<S> {
    layer: AccessLogLayer,
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
    /// In a box, as most have none.
    next: Option<Pin<Box<Next>>>,
}

/// When a session that goes on has its next record.
#[pin_project]
#[derive(Debug)]
struct Next {
    every: Duration,
    #[pin]
    timer: QuietTimer,
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
        Self { log, every: None }
    }

    /// Also writes a record each time that a pair has lasted so long again: [`End::Live`], with the bytes
    /// from its join on. `None`, the default, for the record of its end alone.
    ///
    /// # Panics
    ///
    /// If the time is zero, with which the records would have no end.
    #[must_use]
    pub const fn every(mut self, time: Option<Duration>) -> Self {
        if let Some(time) = time {
            assert!(!time.is_zero(), "a time between records is more than zero");
        }
        self.every = time;
        self
    }
}

layer_and_service!(AccessLogLayer => AccessLogService);

// ===== impl AccessLogService =====

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
        let AccessLogLayer { log, every } = &self.layer;
        AccessLogFuture {
            live: Live::new(log.clone(), pair.session.handle()),
            next: every.map(|every| Box::pin(Next::new(every))),
            inner: self.inner.call(pair),
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
        let Poll::Ready(result) = this.inner.poll(cx) else {
            if let Some(next) = this.next {
                while next.as_mut().poll(cx).is_ready() {
                    this.live.log(End::Live);
                }
            }
            return Poll::Pending;
        };
        let result = result.map_err(Into::into);
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

impl Live {
    fn log(&mut self, end: End) {
        let session = &self.session;
        let leg = |side| Some(Leg::of(session.info(side), session.since()));
        self.log.log(&Record {
            time: self.log.now(),
            end,
            relay: RelayName::current(),
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

impl Drop for Live {
    fn drop(&mut self) {
        // Set by now, because the owner of the session was dropped before.
        let reason = self.session.end_reason().unwrap_or(CloseReason::Dropped);
        self.log(End::Pair(reason));
    }
}

// ===== impl Next =====

impl Next {
    fn new(every: Duration) -> Self {
        Self {
            every,
            timer: QuietTimer::new(every),
        }
    }

    /// Ready each time that it is time.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        ready!(this.timer.as_mut().poll(cx));
        this.timer.set(QuietTimer::new(*this.every));
        Poll::Ready(())
    }
}
