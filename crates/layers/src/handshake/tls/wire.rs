use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use couplet_endpoint::{Io, io::send_and_close};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls;

/// How long a peer that is refused has to read our alert.
const PATIENCE: Duration = Duration::from_secs(1);

const TAKEN_WITH_ALL: &str = "the io is taken out together with the wire";

/// Length of a record's header: its type, a version, and the length of what follows (RFC 8446,
/// section 5.1).
const HEADER: usize = 5;

/// What rustls's stream reads its records from and writes them to.
///
/// It differs from the io within in three things: shutting it down only flushes, because rustls's
/// stream shuts its io down together with its own half; it follows where the records end; and
/// dropping it after our `close_notify` shuts the io down, so that the peer sees an orderly close.
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
    header: [u8; HEADER],
    header_len: usize,
    /// What is still to come of the record whose header is complete.
    left: usize,
}

// ===== impl Wire =====

impl<I: Io> Wire<I> {
    pub(super) const fn new(io: I) -> Self {
        Self {
            io: Some(io),
            shut,
            said_goodbye: false,
            ended: false,
            header: [0; HEADER],
            header_len: 0,
            left: 0,
        }
    }
}

impl<I: Io> Wire<I> {
    /// Closes the connection behind our alert in such a way that the peer can read the alert. A peer
    /// that has gone, and so was sent none, is not waited for.
    pub(super) async fn close_after_alert(self, error: &io::Error) {
        if error
            .get_ref()
            .is_some_and(|error| error.is::<rustls::Error>())
        {
            send_and_close(self.into_inner(), b"", PATIENCE).await;
        }
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

    /// Has nothing been read of a record but whole ones?
    pub(super) const fn is_between_records(&self) -> bool {
        self.header_len == 0
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.header_len < HEADER {
                let n = bytes.len().min(HEADER - self.header_len);
                self.header[self.header_len..][..n].copy_from_slice(&bytes[..n]);
                self.header_len += n;
                bytes = &bytes[n..];
                self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            } else {
                let n = bytes.len().min(self.left);
                self.left -= n;
                bytes = &bytes[n..];
            }
            if self.header_len == HEADER && self.left == 0 {
                self.header_len = 0;
            }
        }
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
        let read = &buf.filled()[before..];
        if read.is_empty() && room > 0 {
            self.ended = true;
        }
        self.follow(read);
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

#[cfg(test)]
mod tests {
    use couplet_endpoint::memory;

    use super::*;

    #[test]
    fn the_end_of_a_record_is_found() {
        let records = [
            &[23, 3, 3, 0, 2, 1, 2][..],
            &[21, 3, 3, 0, 0],
            &[22, 3, 3, 0, 1, 9],
        ];
        let ends = [0, 7, 12, 18];
        let bytes = records.concat();
        for cut in 0..=bytes.len() {
            let (_, io) = memory::connection(1);
            let mut wire = Wire::new(io);
            let (first, then) = bytes[..cut].split_at(cut / 2);
            wire.follow(first);
            wire.follow(then);
            assert_eq!(
                wire.is_between_records(),
                ends.contains(&cut),
                "cut at {cut}"
            );
        }
    }
}
