use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Length of a record's header: its type, a version, and the length of what follows (RFC 8446,
/// section 5.1).
const HEADER: usize = 5;

/// What rustls's stream reads its records from and writes them to.
///
/// Two things it does otherwise than the io within: shutting it down only flushes, because
/// rustls's stream shuts its io down together with its own half; and it knows where the records
/// end.
#[derive(Debug)]
pub(super) struct Wire<I> {
    io: I,
    ended: bool,
    header: [u8; HEADER],
    header_len: usize,
    /// What is still to come of the record whose header is complete.
    left: usize,
}

// ===== impl Wire =====

impl<I> Wire<I> {
    pub(super) const fn new(io: I) -> Self {
        Self {
            io,
            ended: false,
            header: [0; HEADER],
            header_len: 0,
            left: 0,
        }
    }

    pub(super) const fn get_ref(&self) -> &I {
        &self.io
    }

    pub(super) const fn get_mut(&mut self) -> &mut I {
        &mut self.io
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
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
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
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::memory;

    use super::*;

    #[test]
    fn it_knows_where_records_end() {
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
