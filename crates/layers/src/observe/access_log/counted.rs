use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
#[cfg(unix)]
use couplet_endpoint::io::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::entry::Entry;

/// An [`Io`] that counts its bytes, spliced ones included: made by
/// [`SideAccessLogLayer`](super::SideAccessLogLayer).
#[derive(Debug)]
pub struct Counted<I> {
    io: I,
    entry: Arc<Entry>,
}

// ===== impl Counted =====

impl<I> Counted<I> {
    pub(super) const fn new(io: I, entry: Arc<Entry>) -> Self {
        Self { io, entry }
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

impl<I: Io> Io for Counted<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<couplet_endpoint::io::Gone> {
        self.io.poll_gone(cx)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        let socket = self.io.splice_source()?;
        Some(socket.counted(&self.entry.received))
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        let socket = self.io.splice_sink()?;
        Some(socket.counted(&self.entry.sent))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        add(&self.entry.received, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: AsyncWrite + Unpin> AsyncWrite for Counted<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        add(&self.entry.sent, n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        add(&self.entry.sent, n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
