use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use couplet_endpoint::{BoxError, FairSlot};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::{HandshakeError, HandshakeRequest, HandshakeTimes, departure::Departure};
use crate::observe::stats::RefusalCause;

/// The future of a [`HandshakeService`](super::HandshakeService): the handshake, then the inner
/// service's readiness, then its call. Dropping it drops the request, in whatever state.
#[derive(derive_more::Debug)]
#[debug("HandshakeFuture")]
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct HandshakeFuture<F, S, O>
where
    S: Service<O>,
{
    #[pin]
    state: State<F, S, O, S::Future>,
}

#[pin_project(project = StateProj, project_replace = StateOwned)]
enum State<F, S, O, C> {
    Shaking {
        #[pin]
        handshake: F,
        cause: RefusalCause,
        #[pin]
        deadline: Option<Sleep>,
        timeout: Duration,
        inner: S,
        slot: FairSlot,
        /// Where it counts, and since when it runs.
        times: Option<(HandshakeTimes, Instant)>,
    },
    /// The slot is kept until the inner service has taken the request over, so that requests that wait
    /// for it are bounded as well.
    Waiting {
        outcome: O,
        departure: Departure,
        inner: S,
        slot: FairSlot,
    },
    Calling {
        #[pin]
        call: C,
    },
    Between,
}

// ===== impl HandshakeFuture =====

impl<F, S, O> HandshakeFuture<F, S, O>
where
    S: Service<O>,
{
    pub(super) fn new(
        handshake: F,
        cause: RefusalCause,
        timeout: Option<Duration>,
        inner: S,
        slot: FairSlot,
        times: Option<HandshakeTimes>,
    ) -> Self {
        Self {
            state: State::Shaking {
                handshake,
                cause,
                deadline: timeout.map(tokio::time::sleep),
                timeout: timeout.unwrap_or_default(),
                inner,
                slot,
                times: times.map(|times| (times, Instant::now())),
            },
        }
    }
}

impl<F, S, O, E> Future for HandshakeFuture<F, S, O>
where
    F: Future<Output = Result<O, E>>,
    O: HandshakeRequest,
    E: Into<BoxError>,
    S: Service<O>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Shaking {
                    handshake,
                    cause,
                    deadline,
                    timeout,
                    slot,
                    times,
                    ..
                } => {
                    if slot.poll_gives_way(cx).is_ready() {
                        return Poll::Ready(Err(HandshakeError::GaveWay.into()));
                    }
                    let outcome = match handshake.poll(cx) {
                        Poll::Ready(outcome) => {
                            let source = |error: E| HandshakeError::Failed {
                                cause: *cause,
                                source: error.into(),
                            };
                            let outcome = outcome.map_err(source)?;
                            if let Some((times, since)) = times {
                                times.add(since.elapsed());
                            }
                            outcome
                        }
                        Poll::Pending => {
                            if let Some(deadline) = deadline.as_pin_mut() {
                                ready!(deadline.poll(cx));
                                return Poll::Ready(Err(HandshakeError::Timeout(*timeout).into()));
                            }
                            return Poll::Pending;
                        }
                    };
                    if let StateOwned::Shaking {
                        inner, mut slot, ..
                    } = state.as_mut().project_replace(State::Between)
                    {
                        slot.settle();
                        state.set(State::Waiting {
                            outcome,
                            departure: Departure::default(),
                            inner,
                            slot,
                        });
                    }
                }
                StateProj::Waiting {
                    outcome,
                    departure,
                    inner,
                    ..
                } => {
                    match inner.poll_ready(cx) {
                        Poll::Ready(ready) => ready.map_err(Into::into)?,
                        Poll::Pending => {
                            let departed = ready!(departure.poll(outcome, cx));
                            return Poll::Ready(Err(departed.into()));
                        }
                    }
                    if let StateOwned::Waiting {
                        outcome, mut inner, ..
                    } = state.as_mut().project_replace(State::Between)
                    {
                        let call = inner.call(outcome);
                        state.set(State::Calling { call });
                    }
                }
                StateProj::Calling { call } => return call.poll(cx).map_err(Into::into),
                StateProj::Between => unreachable!("a state is always followed by the next"),
            }
        }
    }
}
