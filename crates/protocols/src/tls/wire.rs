use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use couplet_endpoint::{Io, io::send_and_close};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a peer that is refused has to read our alert.
const PATIENCE: Duration = Duration::from_secs(1);

const TAKEN_WITH_ALL: &str = "the io is taken out together with the wire";

/// What a session reads its records from and writes them to.
///
/// It differs from the io within in two things: shutting it down only flushes, because our half ends
/// before the connection does; and dropping it after our `close_notify` shuts the io down, so that the
/// peer sees an orderly close.
#[derive(Debug)]
pub(super) struct Wire<I> {
    /// There until the wire is taken apart.
    io: Option<I>,
    /// Shuts the io down without waiting. Here rather than a bound on `Io`, which all types that
    /// hold this one would have to repeat.
    shut: fn(&mut I),
    /// Our `close_notify` has been written and flushed.
    said_goodbye: bool,
    ended: bool,
}

// ===== impl Wire =====

impl<I: Io> Wire<I> {
    pub(super) const fn new(io: I) -> Self {
        Self {
            io: Some(io),
            shut,
            said_goodbye: false,
            ended: false,
        }
    }
}

impl<I: Io> Wire<I> {
    /// Sends the last bytes, such as an alert, and closes the connection in such a way that the peer can
    /// read them.
    pub(super) async fn send_and_close(self, bytes: &[u8]) {
        send_and_close(self.into_inner(), bytes, PATIENCE).await;
    }
}

fn shut<I: Io>(io: &mut I) {
    let _ = Pin::new(io).poll_shutdown(&mut Context::from_waker(Waker::noop()));
}

impl<I> Wire<I> {
    pub(super) const fn get_ref(&self) -> &I {
        self.io.as_ref().expect(TAKEN_WITH_ALL)
    }

    pub(super) const fn io_mut(&mut self) -> &mut I {
        self.io.as_mut().expect(TAKEN_WITH_ALL)
    }

    pub(super) fn into_inner(mut self) -> I {
        self.io.take().expect(TAKEN_WITH_ALL)
    }

    /// Has our `close_notify` been sent?
    pub(super) const fn has_said_goodbye(&self) -> bool {
        self.said_goodbye
    }

    /// Our `close_notify`, if it was sent, no longer makes for an orderly close.
    pub(super) const fn abort(&mut self) {
        self.said_goodbye = false;
    }

    /// Has the io's stream ended?
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}

impl<I: Io> AsyncRead for Wire<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        ready!(Pin::new(self.io_mut()).poll_read(cx, buf))?;
        if buf.filled().len() == before && room > 0 {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: Io> AsyncWrite for Wire<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.said_goodbye = true;
        Poll::Ready(Ok(()))
    }
}

impl<I> Drop for Wire<I> {
    fn drop(&mut self) {
        if self.said_goodbye
            && let Some(io) = &mut self.io
        {
            (self.shut)(io);
        }
    }
}
