use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;

/// The most bytes that one [`Replay::poll_read_ahead`] reads.
const CHUNK: usize = 4096;

/// An [`Io`] that gives its reader the bytes read ahead again.
///
/// A handshake or protocol detection reads with [`read_ahead`](Self::read_ahead), looks at
/// [`ahead`](Self::ahead), and [`consume`](Self::consume)s its own bytes. The next reader gets the
/// rest. Writes go straight through. The memory is freed once those bytes have been read.
#[derive(Debug)]
pub struct Replay<I> {
    io: I,
    ahead: BytesMut,
}

// ===== impl Replay =====

impl<I> Replay<I> {
    /// Wraps an io without bytes read ahead.
    pub fn new(io: I) -> Self {
        Self {
            io,
            ahead: BytesMut::new(),
        }
    }

    /// Wraps an io together with bytes read from it, which will be read again.
    pub fn with_prefix(io: I, prefix: Bytes) -> Self {
        Self {
            io,
            ahead: prefix.into(),
        }
    }

    /// The bytes read ahead and not consumed.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Drops the first `n` of the bytes read ahead, so that no reader gets them.
    ///
    /// # Panics
    ///
    /// If fewer than `n` bytes have been read ahead.
    pub fn consume(&mut self, n: usize) {
        self.ahead.advance(n);
        self.free_when_drained();
    }

    /// The io within.
    pub fn get_ref(&self) -> &I {
        &self.io
    }

    /// The io within. Reading from it skips the bytes read ahead.
    pub fn get_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// The io within, and the bytes read ahead.
    pub fn into_parts(self) -> (I, Bytes) {
        (self.io, self.ahead.freeze())
    }

    fn free_when_drained(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }
}

impl<I: AsyncRead + Unpin> Replay<I> {
    /// Reads more bytes ahead, until `limit` are there at most; returns the number of new ones.
    ///
    /// `Ok(0)` means that the stream has ended or the limit was reached before. No memory is held while
    /// the read is pending.
    pub fn poll_read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.saturating_sub(self.ahead.len()).min(CHUNK);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        // Not zeroed: that would cost more than the rest of a look at a connection that is silent.
        let mut scratch = [const { MaybeUninit::uninit() }; CHUNK];
        let mut buf = ReadBuf::uninit(&mut scratch[..room]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        self.ahead.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Reads more bytes ahead, until `limit` are there at most; returns the number of new ones, 0 at
    /// the end of the stream or where the limit was reached before.
    ///
    /// Cancel-safe: no byte read is lost.
    ///
    /// # Errors
    ///
    /// An error of reading the io.
    pub async fn read_ahead(&mut self, limit: usize) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read_ahead(cx, limit)).await
    }
}

// ===== the io =====

impl<I: Io> Io for Replay<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<super::Gone> {
        match self.io.poll_gone(cx) {
            // Not before these were read.
            Poll::Ready(super::Gone::Ended) if !self.ahead.is_empty() => Poll::Pending,
            gone => gone,
        }
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<super::Socket<'_>> {
        match self.ahead.is_empty() {
            true => self.io.splice_source(),
            false => None, // Not before these were read.
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<super::Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Replay<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
}

crate::forward_async_write!(impl[I: AsyncWrite + Unpin] for Replay<I>, io);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_left_over_are_read_again_first() {
        let (mut peer, io) = tokio::io::duplex(64);
        let mut replay = Replay::new(io);
        peer.write_all(b"hello\nworld").await.unwrap();
        assert_eq!(replay.read_ahead(4096).await.unwrap(), 11);
        replay.consume(6);
        assert_eq!(replay.ahead(), b"world");
        peer.write_all(b"!").await.unwrap();
        drop(peer);
        let mut rest = String::new();
        replay.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "world!");
        assert_eq!(replay.ahead.capacity(), 0, "drained, so nothing is held");
    }

    #[tokio::test]
    async fn the_limit_bounds_the_bytes_held() {
        let (mut peer, io) = tokio::io::duplex(64);
        let mut replay = Replay::new(io);
        peer.write_all(b"0123456789").await.unwrap();
        assert_eq!(replay.read_ahead(4).await.unwrap(), 4);
        assert_eq!(replay.read_ahead(4).await.unwrap(), 0);
        assert_eq!(replay.ahead(), b"0123");
    }

    #[tokio::test]
    async fn a_small_reader_gets_the_bytes_in_pieces() {
        let mut replay = Replay::with_prefix(tokio::io::empty(), Bytes::from_static(b"abc"));
        let mut piece = [0; 2];
        assert_eq!(replay.read(&mut piece).await.unwrap(), 2);
        assert_eq!(&piece, b"ab");
        assert_eq!(replay.read(&mut piece).await.unwrap(), 1);
        assert_eq!(replay.read(&mut piece).await.unwrap(), 0);
    }
}
