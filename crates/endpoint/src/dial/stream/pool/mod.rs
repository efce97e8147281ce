mod slots;
#[cfg(test)]
mod tests;
mod watch;

pub use self::{slots::PoolStatus, watch::PoolWatch};

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

use self::slots::{PoolSlot, PoolSlots, Turn};
use crate::{
    conn::{Conn, Pooled},
    dial::Backoff,
    endpoint::Endpoint,
    error::{BoxError, Chain},
    io::Io,
};

/// A pool: keeps up to `n` connections that wait to be joined; a stream without end.
///
/// A connection holds one of the `n` slots from its dial until the first byte from its peer is
/// delivered ([`FirstByte`]), or until the connection ends. So two pools that are joined with each
/// other, or a peer that accepts and sends nothing, never have more than `n` connections. Dials for
/// free slots run side by side.
///
/// The end of a connection decides when its slot is dialled again:
///
/// | the connection | then |
/// |---|---|
/// | brought a byte from its peer, or was served and ended well | at once |
/// | was lost after it had lasted for [`Backoff::reset_after`] | within [`Backoff::spread_over`] |
/// | was served and cut | after a first pause |
/// | was dropped, or its session ended, without a byte | after a pause that grows up to [`Backoff::max`] |
/// | could not be dialled | after a pause that grows up to [`Backoff::dial_max`] |
///
/// Failures side by side make one pause, after which the dials are spread. A failed dial is not an
/// item, but is logged. A session that moved bytes, and a connection that lasted, reset the pauses.
///
/// [`FirstByte`]: crate::ConnEvent::FirstByte
///
/// # Panics
///
/// If `n` is 0, with which no dial would ever run.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::{Backoff, ConnEvent, Side, memory, pool};
/// use futures::TryStreamExt;
///
/// let (dial, _listen) = memory::endpoint();
/// let mut conns = pool(dial, 1, Backoff::new());
/// let waiting = conns.try_next().await?.expect("it has no end").on(Side::A);
/// // Now it would dial no more …
/// waiting.info.tell(ConnEvent::FirstByte(Side::A));
/// // … and now there is a slot again.
/// conns.try_next().await?;
/// # Ok(())
/// # }
/// ```
pub fn pool<D, I>(dial: D, n: usize, backoff: Backoff) -> Pool<D>
where
    D: Service<(), Response = Conn<I>>,
{
    assert!(n > 0, "a pool of 0 connections: at least one has to wait");
    Pool {
        dial,
        slots: PoolSlots::new(n, backoff),
        dials: FuturesUnordered::new(),
        pause: None,
    }
}

/// A pool of connections that wait to be joined; see [`pool`].
#[must_use = "nothing is dialled until it is polled"]
pub struct Pool<D: Service<()>> {
    dial: D,
    slots: Arc<PoolSlots>,
    dials: FuturesUnordered<Dialling<D::Future>>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// A dial and the slot that it is for.
#[pin_project]
struct Dialling<F> {
    #[pin]
    dial: F,
    slot: Option<PoolSlot>,
}

// ===== impl Pool =====

/// Nothing is pinned in it: the dials are in boxes of their own.
impl<D: Service<()>> Unpin for Pool<D> {}

impl<D, I> Stream for Pool<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    type Item = Result<Conn<I>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Before the slots are looked at, so that no change is missed.
        self.slots.wake_on_change(cx.waker());
        loop {
            self.dial_for_free_slots(cx);
            match self.dials.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(conn))) => return Poll::Ready(Some(Ok(conn))),
                Poll::Ready(Some(Err((error, slot)))) => log(error, slot),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<D, I> Endpoint for Pool<D>
where
    D: Service<(), Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send,
    I: Io,
{
    type Io = I;
    type Error = Infallible;
}

impl<D, I> Pool<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    /// Begins a dial for each free slot, until there is something to wait for.
    fn dial_for_free_slots(&mut self, cx: &mut Context<'_>) {
        loop {
            match self.slots.turn() {
                Turn::Dial => match self.dial.poll_ready(cx) {
                    Poll::Ready(Ok(())) => self.dials.push(Dialling {
                        slot: Some(self.slots.take()),
                        dial: self.dial.call(()),
                    }),
                    Poll::Ready(Err(error)) => log(error, self.slots.take()),
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

fn log(error: impl Into<BoxError>, slot: PoolSlot) {
    let error = error.into();
    match slot.failed() {
        Some(pause) => {
            warn!(error = %Chain(&*error), pause = pause.as_secs_f64(), "dialling failed; again after a pause");
        }
        None => debug!(error = %Chain(&*error), "dialling failed, as before"),
    }
}

impl<D: Service<()>> Pool<D> {
    /// Adds it to those that are watched there.
    pub fn watch(self, watch: &PoolWatch) -> Self {
        watch.add(&self.slots);
        self
    }

    /// Whether the last dial, or the last connection, has failed.
    pub(super) fn is_failing(&self) -> bool {
        self.slots.is_failing()
    }
}

impl<D: Service<()>> fmt::Debug for Pool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("dials", &self.dials.len())
            .finish_non_exhaustive()
    }
}

// ===== impl Dialling =====

impl<F, I, E> Future for Dialling<F>
where
    F: Future<Output = Result<Conn<I>, E>>,
{
    type Output = Result<Conn<I>, (E, PoolSlot)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.dial.poll(cx));
        let mut slot = this.slot.take().expect("polled after it was ready");
        Poll::Ready(match result {
            Ok(mut conn) => {
                slot.dialled();
                conn.info.extensions.insert(Pooled);
                conn.info.observe(slot);
                Ok(conn)
            }
            Err(error) => Err((error, slot)),
        })
    }
}
