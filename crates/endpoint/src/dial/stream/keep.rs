use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt, stream::FuturesUnordered};
use pin_project::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;
use tracing::{debug, warn};

use super::place::{Place, Places, Pooled, Turn};
use crate::{
    conn::Conn,
    dial::Backoff,
    endpoint::Endpoint,
    error::{BoxError, Chain},
    io::Io,
};

/// A pool: keeps up to `n` connections that wait to be joined; has no end.
///
/// A connection has one of the `n` places from when it is dialled until it is
/// [joined](crate::ConnEvent::Joined) or dropped; dials for free places run side by side. With 0
/// places nothing is ever dialled.
///
/// A dial that failed is not an item: it is logged, and dialled again after a pause. A
/// connection that is dropped within [`Backoff::reset_after`] without having been joined counts
/// as such a failure, so that a peer which closes waiting connections at once is not dialled
/// without pause. What failed side by side makes one pause. A join, and a connection that lasted,
/// begin the pauses anew.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::{Backoff, ConnEvent, keep, memory};
/// use futures::TryStreamExt;
///
/// let (dial, _listen) = memory::endpoint();
/// let mut conns = keep(dial, 1, Backoff::new());
/// let waiting = conns.try_next().await?.expect("it has no end");
/// // Now it would dial no more …
/// let partner = waiting.info.id;
/// waiting.info.tell(ConnEvent::Joined(partner));
/// // … and now there is a place again.
/// conns.try_next().await?;
/// # Ok(())
/// # }
/// ```
pub fn keep<D, I>(dial: D, n: usize, backoff: Backoff) -> Keep<D>
where
    D: Service<(), Response = Conn<I>>,
{
    Keep {
        dial,
        places: Places::new(n, backoff),
        dials: FuturesUnordered::new(),
        pause: None,
    }
}

/// A pool of connections that wait to be joined; see [`keep`].
#[must_use = "nothing is dialled until it is polled"]
pub struct Keep<D: Service<()>> {
    dial: D,
    places: Arc<Places>,
    dials: FuturesUnordered<Dialling<D::Future>>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// A dial and the place that it is for.
#[pin_project]
struct Dialling<F> {
    #[pin]
    dial: F,
    place: Option<Place>,
}

// ===== impl Keep =====

/// Nothing is pinned in it: the dials are in boxes of their own.
impl<D: Service<()>> Unpin for Keep<D> {}

impl<D, I> Stream for Keep<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    type Item = Result<Conn<I>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Before the places are looked at, so that no change is missed.
        self.places.wake_on_change(cx.waker());
        loop {
            self.dial_for_free_places(cx);
            match self.dials.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(conn))) => return Poll::Ready(Some(Ok(conn))),
                Poll::Ready(Some(Err((error, place)))) => log(error, place),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<D, I> Endpoint for Keep<D>
where
    D: Service<(), Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send,
    I: Io,
{
    type Io = I;
    type Error = Infallible;
}

impl<D, I> Keep<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    /// Begins a dial for each place, until there is something to wait for.
    fn dial_for_free_places(&mut self, cx: &mut Context<'_>) {
        loop {
            match self.places.turn() {
                Turn::Dial => match self.dial.poll_ready(cx) {
                    Poll::Ready(Ok(())) => self.dials.push(Dialling {
                        place: Some(self.places.take()),
                        dial: self.dial.call(()),
                    }),
                    Poll::Ready(Err(error)) => log(error, self.places.take()),
                    Poll::Pending => return,
                },
                Turn::Full => return,
                Turn::Pause(end) => {
                    let pause = self.pause.get_or_insert_with(|| Box::pin(sleep_until(end)));
                    if pause.deadline() != end {
                        pause.as_mut().reset(end);
                    }
                    if pause.as_mut().poll(cx).is_pending() {
                        return;
                    }
                }
            }
        }
    }
}

fn log(error: impl Into<BoxError>, place: Place) {
    let error = error.into();
    match place.failed() {
        Some(pause) => {
            warn!(error = %Chain(&*error), pause = pause.as_secs_f64(), "dialling failed; again after a pause");
        }
        None => debug!(error = %Chain(&*error), "dialling failed, as another just did"),
    }
}

impl<D: Service<()>> fmt::Debug for Keep<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep")
            .field("dials", &self.dials.len())
            .finish_non_exhaustive()
    }
}

// ===== impl Dialling =====

impl<F, I, E> Future for Dialling<F>
where
    F: Future<Output = Result<Conn<I>, E>>,
{
    type Output = Result<Conn<I>, (E, Place)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.dial.poll(cx));
        let mut place = this.place.take().expect("polled after it was ready");
        Poll::Ready(match result {
            Ok(mut conn) => {
                place.dialled();
                conn.info.extensions.insert(Pooled);
                conn.info.observe(place);
                Ok(conn)
            }
            Err(error) => Err((error, place)),
        })
    }
}

#[cfg(test)]
mod tests;
