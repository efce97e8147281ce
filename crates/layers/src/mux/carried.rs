//! A carrier's connection as yamux takes it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use couplet_endpoint::Io;
use tokio::io::{AsyncRead, AsyncWrite, BufStream, ReadBuf};

/// What is read from the carrier at a time, and written to it.
const BUFFERS: (usize, usize) = (64 * 1024, 32 * 1024);

/// The connection of a carrier. Its drop is an orderly end, unless the carrier is given up: what was cut is
/// known of each stream.
pub(super) struct Carried<I: Io> {
    io: BufStream<I>,
    signs: Arc<Signs>,
}

/// What the carrier's driver and its connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Something came since this was last taken.
    heard: AtomicBool,
    /// Nothing that is still to be sent is worth a wait.
    given_up: AtomicBool,
    /// The connection has ended, and yamux said nothing of that before.
    ended: AtomicBool,
}

// ===== impl Signs =====

impl Signs {
    pub(super) fn take_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

// ===== impl Carried =====

impl<I: Io> Carried<I> {
    pub(super) fn new(io: I, signs: Arc<Signs>) -> Self {
        Self {
            io: BufStream::with_capacity(BUFFERS.0, BUFFERS.1, io),
            signs,
        }
    }
}

impl<I: Io> Drop for Carried<I> {
    fn drop(&mut self) {
        let io = self.io.get_mut();
        match self.signs.given_up.load(Ordering::Relaxed) {
            true => io.abort(),
            false => io.shut_by_drop(),
        }
    }
}

impl<I: Io> futures::io::AsyncRead for Carried<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // The carrier is polled to read whenever it is woken.
        let _ = self.io.get_mut().poll_upkeep(cx);
        let mut buf = ReadBuf::new(buf);
        let read = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        match (&read, buf.filled().is_empty()) {
            (_, false) => self.signs.heard.store(true, Ordering::Relaxed),
            (Poll::Ready(Ok(())), true) => self.signs.ended.store(true, Ordering::Relaxed),
            _ => {}
        }
        read.map_ok(|()| buf.filled().len())
    }
}

impl<I: Io> futures::io::AsyncWrite for Carried<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
