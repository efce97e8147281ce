use std::{
    error::Error,
    fmt,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, Io};
use pin_project::pin_project;
use tokio::{sync::OwnedSemaphorePermit, time::Sleep};
use tower_service::Service;

use super::{Attempts, FailedAttempt, TooManyAttempts};
use crate::handshake::Departure;

/// The future of an [`AttemptsService`](super::AttemptsService): the delay, if any, then the inner
/// service's call, whose failure is counted.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct AttemptsFuture<I, S>
where
    S: Service<Conn<I>>,
{
    #[pin]
    state: State<I, S, S::Future>,
    failure: Option<Failure>,
}

/// The table in which a failure is counted, and the errors that count.
pub(super) struct Failure {
    pub(super) attempts: Attempts,
    pub(super) peer: IpAddr,
    pub(super) counts_if: fn(&(dyn Error + 'static)) -> bool,
}

#[pin_project(project = StateProj, project_replace = StateOwned)]
enum State<I, S, C> {
    Refused(TooManyAttempts),
    Delayed {
        #[pin]
        delay: Sleep,
        permit: OwnedSemaphorePermit,
        conn: Conn<I>,
        departure: Departure,
        inner: S,
    },
    /// Waiting for the inner service.
    Waiting {
        conn: Conn<I>,
        departure: Departure,
        inner: S,
    },
    Calling {
        #[pin]
        call: C,
    },
    Between,
}

// ===== impl AttemptsFuture =====

impl<I, S: Service<Conn<I>>> AttemptsFuture<I, S> {
    pub(super) fn uncounted(call: S::Future) -> Self {
        Self {
            state: State::Calling { call },
            failure: None,
        }
    }

    pub(super) fn counted(call: S::Future, failure: Failure) -> Self {
        Self {
            state: State::Calling { call },
            failure: Some(failure),
        }
    }

    pub(super) fn refused(why: TooManyAttempts) -> Self {
        Self {
            state: State::Refused(why),
            failure: None,
        }
    }

    pub(super) fn delayed(
        conn: Conn<I>,
        inner: S,
        time: Duration,
        permit: OwnedSemaphorePermit,
        failure: Failure,
    ) -> Self {
        Self {
            state: State::Delayed {
                delay: tokio::time::sleep(time),
                permit,
                conn,
                departure: Departure::default(),
                inner,
            },
            failure: Some(failure),
        }
    }
}

impl<I, S> Future for AttemptsFuture<I, S>
where
    I: Io,
    S: Service<Conn<I>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        loop {
            match state.as_mut().project() {
                StateProj::Refused(why) => return Poll::Ready(Err((*why).into())),
                StateProj::Delayed {
                    delay,
                    conn,
                    departure,
                    ..
                } => {
                    if delay.poll(cx).is_pending() {
                        let departed = ready!(departure.poll(conn, cx));
                        return Poll::Ready(Err(departed.into()));
                    }
                    if let StateOwned::Delayed {
                        conn,
                        departure,
                        inner,
                        ..
                    } = state.as_mut().project_replace(State::Between)
                    {
                        state.set(State::Waiting {
                            conn,
                            departure,
                            inner,
                        });
                    }
                }
                StateProj::Waiting {
                    conn,
                    departure,
                    inner,
                } => {
                    match inner.poll_ready(cx) {
                        Poll::Ready(ready) => ready.map_err(Into::into)?,
                        Poll::Pending => {
                            let departed = ready!(departure.poll(conn, cx));
                            return Poll::Ready(Err(departed.into()));
                        }
                    }
                    if let StateOwned::Waiting {
                        conn, mut inner, ..
                    } = state.as_mut().project_replace(State::Between)
                    {
                        let call = inner.call(conn);
                        state.set(State::Calling { call });
                    }
                }
                StateProj::Calling { call } => {
                    let result = ready!(call.poll(cx)).map_err(Into::into);
                    return Poll::Ready(match (result, this.failure) {
                        (Err(error), Some(failure)) => Err(failure.count(error)),
                        (result, _) => result,
                    });
                }
                StateProj::Between => unreachable!("a state is always followed by the next"),
            }
        }
    }
}

impl<I, S: Service<Conn<I>>> fmt::Debug for AttemptsFuture<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Refused(_) => "refused",
            State::Delayed { .. } => "delayed",
            State::Waiting { .. } => "waiting for the inner service",
            State::Calling { .. } => "calling the inner service",
            State::Between => "between",
        };
        f.debug_tuple("AttemptsFuture").field(&state).finish()
    }
}

// ===== impl Failure =====

impl Failure {
    fn count(&self, source: BoxError) -> BoxError {
        if !(self.counts_if)(&*source) {
            return source;
        }
        FailedAttempt {
            peer: self.peer,
            number: self.attempts.fail(self.peer),
            source,
        }
        .into()
    }
}
