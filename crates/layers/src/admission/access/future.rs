use std::{
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::BoxError;
use pin_project::pin_project;

use super::AccessRefused;

/// The future of an [`AccessService`](super::AccessService): the inner service's future, or a refusal.
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AccessFuture<F> {
    #[pin]
    state: State<F>,
}

#[pin_project(project = StateProj)]
#[derive(Debug)]
enum State<F> {
    Admitted(#[pin] F),
    /// The connection has been closed already.
    Refused(Option<AccessRefused>),
}

// ===== impl AccessFuture =====

impl<F> AccessFuture<F> {
    pub(super) const fn admitted(inner: F) -> Self {
        Self {
            state: State::Admitted(inner),
        }
    }

    pub(super) const fn refused(why: AccessRefused) -> Self {
        Self {
            state: State::Refused(Some(why)),
        }
    }
}

impl<F, T, E> Future for AccessFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Admitted(inner) => inner.poll(cx).map_err(Into::into),
            StateProj::Refused(why) => {
                let why = why.take().expect("it is not polled after it is ready");
                Poll::Ready(Err(why.into()))
            }
        }
    }
}
