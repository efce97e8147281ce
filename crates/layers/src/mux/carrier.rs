//! A connection that carries many: the task that drives it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::Io;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufStream, ReadBuf},
    sync::oneshot,
};
use yamux::{Config, Connection, DEFAULT_CREDIT, Mode, Stream};

/// What is read from the carrier at a time, and written to it.
const BUFFERS: (usize, usize) = (64 * 1024, 32 * 1024);

/// Lives as long as a stream of the carrier does. The carrier is closed when none is left and none can come.
pub(super) type Alive = Arc<()>;

/// Asks for a stream.
pub(super) type Open = oneshot::Sender<(Stream, Alive)>;

/// The carrier as yamux takes it.
struct Carried<I>(BufStream<I>);

/// yamux ends a carrier with more streams than it is told of, with all of them. So it is told of more than
/// either end lets come: the one may not know yet that a stream is over for the other.
const SPARE: usize = 4;

/// The most streams at a time, and no window larger than yamux's first: this much may be held for a stream that
/// is not read.
fn config(streams: usize) -> Config {
    let streams = streams.saturating_mul(SPARE);
    let mut config = Config::default();
    // Each of the two is checked against the other.
    config
        .set_max_connection_receive_window(None)
        .set_max_num_streams(streams)
        .set_max_connection_receive_window(Some(streams.saturating_mul(DEFAULT_CREDIT as usize)));
    config
}

/// Drives a carrier until it ends, or until it is no longer needed; then closes it.
///
/// `opens` yields the streams that are asked for at this end, and `None` once the carrier is needed only for
/// the streams that are there. `came` gets the streams that the peer opens, `streams` at most at a time.
pub(super) async fn drive(
    io: impl Io,
    mode: Mode,
    streams: usize,
    mut opens: impl FnMut(&mut Context<'_>) -> Poll<Option<Open>>,
    mut came: impl FnMut(Stream, Alive),
) {
    let carried = Carried(BufStream::with_capacity(BUFFERS.0, BUFFERS.1, io));
    let mut conn = Connection::new(carried, config(streams), mode);
    let alive = Alive::default();
    let (mut wanted, mut is_needed) = (None::<Open>, true);
    let failed = poll_fn(|cx| {
        loop {
            if wanted.is_none() && is_needed {
                match opens(cx) {
                    Poll::Ready(Some(open)) => wanted = Some(open),
                    Poll::Ready(None) => is_needed = false,
                    Poll::Pending => {}
                }
            }
            if wanted.is_some() {
                match conn.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => {
                        if let Some(open) = wanted.take() {
                            let _ = open.send((stream, Arc::clone(&alive)));
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                    Poll::Pending => {}
                }
            }
            match conn.poll_next_inbound(cx) {
                // One too many is cut.
                Poll::Ready(Some(Ok(stream)))
                    if is_needed && Arc::strong_count(&alive) <= streams =>
                {
                    came(stream, Arc::clone(&alive));
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(error)),
                Poll::Ready(None) => return Poll::Ready(None),
                // Woken by the drop of a stream.
                Poll::Pending if !is_needed && Arc::strong_count(&alive) == 1 => {
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    match failed {
        Some(error) => tracing::debug!(%error, "a carrier failed"),
        // The peer's system takes what is left, or does not: no task waits for it.
        None => drop(tokio::time::timeout(super::PATIENCE, close(conn)).await),
    }
}

async fn close<I: Io>(mut conn: Connection<Carried<I>>) {
    let _ = poll_fn(|cx| conn.poll_close(cx)).await;
}

// ===== impl Carried =====

impl<I: Io> futures::io::AsyncRead for Carried<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // The carrier is polled to read whenever it is woken.
        let _ = self.0.get_mut().poll_upkeep(cx);
        let mut buf = ReadBuf::new(buf);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buf);
        read.map_ok(|()| buf.filled().len())
    }
}

impl<I: Io> futures::io::AsyncWrite for Carried<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
