use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use couplet_endpoint::{Gone, Io};
use futures::{AsyncWrite as _, Stream as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use yamux::{Packet, Stream};

use super::{OPEN, PIECE, carrier::Alive};
use crate::shared_io::{Ahead, first};

/// From here on a length is a frame of its own: to copy the bytes, so that they stand behind it, costs more.
const MUCH: usize = 4 * 1024;

const LENGTH: usize = 2;

/// The size of a read for which the caller has no buffer.
const SCRATCH: usize = 512;

/// After this many reads that bring no byte the task yields.
const ROUNDS: u32 = 32;

/// One of many connections over a carrier.
///
/// Dropping it without shutting it down cuts it: the peer sees a reset. It can't be reset before what was
/// written has left, as the carrier goes on.
pub struct MuxIo {
    // Dropped before the stream, whose drop wakes the carrier.
    alive: Alive,
    _slot: Option<OwnedSemaphorePermit>,
    stream: Stream,
    /// The data of a frame, and how much of it was read.
    frame: Option<(Packet, usize)>,
    lengths: Lengths,
    /// Bytes that were read while the caller only asked whether the peer is there.
    ahead: Ahead,
    out: BytesMut,
    said_end: bool,
    failed: Option<io::ErrorKind>,
}

/// Takes the lengths out of what is read.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    opened: bool,
    /// The first byte of a length of which the second is still to come.
    high: Option<u8>,
    /// What is still to come of a piece.
    left: usize,
    pub(super) ended: bool,
}

// ===== impl MuxIo =====

impl MuxIo {
    pub(super) fn new(stream: Stream, alive: Alive, slot: Option<OwnedSemaphorePermit>) -> Self {
        let mut out = BytesMut::new();
        out.put_u8(OPEN);
        Self {
            alive,
            _slot: slot,
            stream,
            frame: None,
            lengths: Lengths::default(),
            ahead: Ahead::default(),
            out,
            said_end: false,
            failed: None,
        }
    }

    /// Says and hears that the stream is open.
    pub(super) async fn open(&mut self) -> io::Result<()> {
        let opened = std::future::poll_fn(|cx| {
            ready!(self.poll_drain(cx))?;
            while !self.lengths.opened && self.failed.is_none() {
                // And not a byte of the client's.
                ready!(self.poll_fill(cx, &mut []));
            }
            Poll::Ready(self.failed.map_or(Ok(()), |kind| Err(kind.into())))
        });
        opened.await
    }

    /// Reads as much as there is and fits, and returns how many bytes that brings: it may be none. What fails is
    /// noted.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        let mut filled = 0;
        loop {
            let Some((frame, read)) = &mut self.frame else {
                match Pin::new(&mut self.stream).poll_next(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.alive.took(frame.as_ref().len());
                        self.frame = Some((frame, 0));
                        continue;
                    }
                    _ if filled > 0 => break,
                    Poll::Pending => return Poll::Pending,
                    // yamux tells of a stream that was cut as of one that has ended.
                    Poll::Ready(_) => {
                        self.failed = Some(io::ErrorKind::ConnectionReset);
                        return Poll::Ready(0);
                    }
                }
            };
            let rest = &frame.as_ref()[*read..];
            match self.lengths.take_out(rest, &mut room[filled..]) {
                Ok((taken, put)) => {
                    (filled, *read) = (filled + put, *read + taken);
                    if taken == rest.len() {
                        self.frame = None;
                    }
                }
                Err(kind) => {
                    self.failed = Some(kind);
                    return Poll::Ready(0);
                }
            }
            if filled == room.len() || self.lengths.ended {
                break;
            }
        }
        Poll::Ready(filled)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, &self.out);
            // It has no other error than that the stream or the carrier is gone.
            let n = ready!(written).map_err(|_| io::ErrorKind::ConnectionReset)?;
            self.out.advance(n);
            self.alive.wrote(n);
        }
        self.out = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Writes, and keeps what there is no room for.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        let mut taken = 0;
        if self.out.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes)
        {
            taken = written.map_err(|_| io::ErrorKind::ConnectionReset)?;
            self.alive.wrote(taken);
        }
        self.out.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.map_err(|_| io::ErrorKind::ConnectionReset.into()))
    }
}

/// A peer that breaks the protocol, for tests.
#[cfg(test)]
impl MuxIo {
    pub(super) async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        std::future::poll_fn(|cx| self.poll_flush_all(cx)).await
    }
}

// ===== impl Lengths =====

impl Lengths {
    /// Copies what the pieces hold, as far as there is room; returns how many of the bytes are done with, and how
    /// many were copied.
    pub(super) fn take_out(
        &mut self,
        bytes: &[u8],
        room: &mut [u8],
    ) -> Result<(usize, usize), io::ErrorKind> {
        let (mut taken, mut put) = (0, 0);
        while taken < bytes.len() {
            if self.ended {
                return Err(io::ErrorKind::InvalidData);
            }
            if self.left > 0 {
                let n = self.left.min(bytes.len() - taken).min(room.len() - put);
                if n == 0 {
                    break;
                }
                room[put..put + n].copy_from_slice(&bytes[taken..taken + n]);
                (taken, put) = (taken + n, put + n);
                self.left -= n;
                continue;
            }
            let byte = bytes[taken];
            taken += 1;
            match (self.opened, self.high.take()) {
                (false, _) if byte == OPEN => self.opened = true,
                (false, _) => return Err(io::ErrorKind::InvalidData),
                (true, None) => self.high = Some(byte),
                (true, Some(high)) => {
                    self.left = usize::from(u16::from_be_bytes([high, byte]));
                    self.ended = self.left == 0;
                }
            }
        }
        Ok((taken, put))
    }
}

// ===== the io =====

impl Io for MuxIo {
    /// The carrier is that of others, too.
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.failed.map(Into::into)
    }

    fn has_unsent(&mut self) -> bool {
        !self.out.is_empty()
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        for _ in 0..ROUNDS {
            if self.failed.is_some() {
                return Poll::Ready(Gone::Failed);
            }
            if !self.ahead.is_empty() {
                return Poll::Pending;
            }
            if self.lengths.ended {
                return Poll::Ready(Gone::Ended);
            }
            let mut scratch = [0; SCRATCH];
            let n = ready!(self.poll_fill(cx, &mut scratch));
            self.ahead.push(&scratch[..n]);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for MuxIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.ahead.give(buf) {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            if let Some(kind) = self.failed {
                return Poll::Ready(Err(kind.into()));
            }
            if self.lengths.ended {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(self.poll_fill(cx, buf.initialize_unfilled()));
            if n > 0 {
                buf.advance(n);
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[warn(clippy::missing_trait_methods)]
impl AsyncWrite for MuxIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.said_end {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_drain(cx))?;
        let piece = &buf[..buf.len().min(PIECE)];
        ready!(self.alive.poll_turn(cx, piece.len()));
        // A piece is shorter than 64 KiB.
        let length = piece.len() as u16;
        if piece.len() >= MUCH {
            self.write(cx, &length.to_be_bytes())?;
            self.write(cx, piece)?;
        } else {
            self.out.reserve(LENGTH + piece.len());
            self.out.put_u16(length);
            self.out.extend_from_slice(piece);
            if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, first(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_all(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_end {
            self.out.put_u16(0);
            self.said_end = true;
        }
        ready!(self.poll_flush_all(cx))?;
        let closed = ready!(Pin::new(&mut self.stream).poll_close(cx));
        Poll::Ready(closed.map_err(|_| io::ErrorKind::ConnectionReset.into()))
    }
}

impl fmt::Debug for MuxIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxIo")
            .field("stream", &self.stream.id())
            .field("lengths", &self.lengths)
            .field("said_end", &self.said_end)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
