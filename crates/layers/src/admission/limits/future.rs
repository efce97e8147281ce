use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::BoxError;
use futures::future::BoxFuture;
use pin_project::pin_project;

use super::error::OverLimit;

/// The future of a [`LimitService`](super::LimitService): the inner service's future, at once or after
/// a wait, or a refusal. Dropping it drops the connection.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct LimitFuture<F, T> {
    #[pin]
    state: State<F, T>,
}

#[pin_project(project = StateProj)]
enum State<F, T> {
    Admitted(#[pin] F),
    /// Boxed, because few connections are over the limit.
    Waiting(BoxFuture<'static, Result<T, BoxError>>),
    /// The connection has been closed already.
    Refused(Option<OverLimit>),
}

// ===== impl LimitFuture =====

impl<F, T> LimitFuture<F, T> {
    pub(super) const fn admitted(inner: F) -> Self {
        Self {
            state: State::Admitted(inner),
        }
    }

    pub(super) const fn waiting(waiting: BoxFuture<'static, Result<T, BoxError>>) -> Self {
        Self {
            state: State::Waiting(waiting),
        }
    }

    pub(super) const fn refused(why: OverLimit) -> Self {
        Self {
            state: State::Refused(Some(why)),
        }
    }
}

impl<F, T, E> Future for LimitFuture<F, T>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Admitted(inner) => inner.poll(cx).map_err(Into::into),
            StateProj::Waiting(waiting) => waiting.as_mut().poll(cx),
            StateProj::Refused(why) => {
                let why = why.take().expect("it is not polled after it is ready");
                Poll::Ready(Err(why.into()))
            }
        }
    }
}

impl<F, T> fmt::Debug for LimitFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Admitted(_) => "admitted",
            State::Waiting(_) => "waiting",
            State::Refused(_) => "refused",
        };
        f.debug_tuple("LimitFuture").field(&state).finish()
    }
}
