//! What the bounds in time have in common.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::QuietTimer;
use couplet_pairing::{CloseReason, Pair, Session};
use pin_project::pin_project;
use tokio::time::Instant;
use tower_service::Service;

/// Decides when a session has to end, and for which reason. Implemented by the layers.
pub trait TimeBound: Copy {
    /// The reason.
    const REASON: CloseReason;

    /// The time until the first look, from when a pair comes to the layer.
    fn first_look(self, session: &Session) -> Duration;

    /// The time at which the session has to end, by its present state.
    fn due(self, session: &Session) -> Instant;
}

/// Ends sessions that a [bound](TimeBound) says are due.
#[derive(Clone, Debug)]
pub struct Timed<S, T> {
    bound: T,
    inner: S,
}

/// The future of [`Timed`]. It is the inner one's, which is told to end when it is due.
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct TimedFuture<F, T> {
    #[pin]
    inner: F,
    #[pin]
    timer: QuietTimer,
    bound: T,
    session: Session,
}

// ===== impl Timed =====

impl<S, T> Timed<S, T> {
    pub(super) const fn new(inner: S, bound: T) -> Self {
        Self { bound, inner }
    }

    crate::accessors::inner_accessors!();
}

impl<A, B, S, T> Service<Pair<A, B>> for Timed<S, T>
where
    S: Service<Pair<A, B>>,
    T: TimeBound,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TimedFuture<S::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        TimedFuture {
            timer: QuietTimer::new(self.bound.first_look(&pair.session)),
            bound: self.bound,
            session: pair.session.handle(),
            inner: self.inner.call(pair),
        }
    }
}

// ===== impl TimedFuture =====

impl<F: Future, T: TimeBound> Future for TimedFuture<F, T> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        // First the timer, so that the inner future hears of the close in the same turn.
        while this.session.close_requested().is_none() && this.timer.as_mut().poll(cx).is_ready() {
            if this.bound.due(this.session) <= Instant::now() {
                // A peer may still be taking what was written before: the relay can tell.
                this.session.meter().ask_for_sent();
                if let Poll::Ready(output) = this.inner.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
            }
            let due = this.bound.due(this.session);
            if due <= Instant::now() {
                this.session.close(T::REASON);
            } else {
                this.timer.as_mut().reset(due);
            }
        }
        this.inner.poll(cx)
    }
}
