use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use tower_service::Service;

use crate::{conn::Conn, endpoint::Endpoint, error::BoxError, io::Io};

/// Dials when it is first polled, and ends after that connection or error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::{memory, once};
/// use futures::TryStreamExt;
///
/// let (dial, _listen) = memory::endpoint();
/// let mut conns = once(dial);
/// assert!(conns.try_next().await?.is_some());
/// assert!(conns.try_next().await?.is_none());
/// # Ok(())
/// # }
/// ```
pub fn once<D, I>(dial: D) -> Once<D>
where
    D: Service<(), Response = Conn<I>>,
{
    Once {
        state: State::Waiting(dial),
    }
}

/// One connection; see [`once`].
#[pin_project]
#[must_use = "nothing is dialled until it is polled"]
pub struct Once<D: Service<()>> {
    #[pin]
    state: State<D, D::Future>,
}

#[pin_project(project = StateProjection)]
enum State<D, F> {
    Waiting(D),
    Dialling(#[pin] F),
    Done,
}

// ===== impl Once =====

impl<D, I> Stream for Once<D>
where
    D: Service<(), Response = Conn<I>>,
{
    type Item = Result<Conn<I>, D::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.project().state;
        let result = loop {
            match state.as_mut().project() {
                StateProjection::Waiting(dial) => match ready!(dial.poll_ready(cx)) {
                    Ok(()) => {
                        let dialling = dial.call(());
                        state.set(State::Dialling(dialling));
                    }
                    Err(error) => break Err(error),
                },
                StateProjection::Dialling(dialling) => break ready!(dialling.poll(cx)),
                StateProjection::Done => return Poll::Ready(None),
            }
        };
        state.set(State::Done);
        Poll::Ready(Some(result))
    }
}

impl<D, I> Endpoint for Once<D>
where
    D: Service<(), Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send,
    I: Io,
{
    type Io = I;
    type Error = D::Error;
}

impl<D, I> FusedStream for Once<D>
where
    D: Service<(), Response = Conn<I>>,
{
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl<D: Service<()>> fmt::Debug for Once<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Waiting(_) => "Once(waiting)",
            State::Dialling(_) => "Once(dialling)",
            State::Done => "Once(done)",
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::{super::script::Script, *};

    #[tokio::test(start_paused = true)]
    async fn a_failed_dial_is_the_only_item() {
        let script = Script::new([Err(5)]);
        let mut conns = once(script.clone());
        assert_eq!(script.dialled(), [], "nobody has asked for it yet");
        assert!(conns.next().await.unwrap().is_err());
        assert!(conns.next().await.is_none());
        assert!(conns.is_terminated());
        assert_eq!(script.dialled(), [0]);
    }
}
