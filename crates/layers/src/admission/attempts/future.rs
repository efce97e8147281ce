use std::{
    error::Error,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::BoxError;
use pin_project::pin_project;

use super::{Attempts, FailedAttempt};

/// The future of an [`AttemptsService`](super::AttemptsService)'s inner service, whose failure is counted.
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AttemptsFuture<F> {
    #[pin]
    pub(super) call: F,
    pub(super) failure: Option<Failure>,
}

/// The table in which a failure is counted, and the errors that count.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) attempts: Attempts,
    pub(super) peer: IpAddr,
    pub(super) counts_if: fn(&(dyn Error + 'static)) -> bool,
}

// ===== impl AttemptsFuture =====

impl<F, T, E> Future for AttemptsFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.call.poll(cx)).map_err(Into::into);
        Poll::Ready(match (result, this.failure) {
            (Err(error), Some(failure)) => Err(failure.count(error)),
            (result, _) => result,
        })
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
