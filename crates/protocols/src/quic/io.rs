use std::{
    fmt, io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use couplet_endpoint::{Gone, Io};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    CUT,
    linger::{Holds, linger},
    pieces::{BEGIN, END, Pieces, piece},
};

/// The most bytes of a read without a buffer of the caller.
const SCRATCH: usize = 512;

/// A stream of QUIC. See the [module](super).
///
/// Dropping it without shutting it down cuts it: the peer reads a reset. What was written before is still
/// delivered after the drop, for up to a minute.
pub struct QuicIo {
    /// Taken by the drop.
    send: Option<SendStream>,
    recv: RecvStream,
    /// `None`: the bytes of the stream are the connection's.
    pieces: Option<Pieces>,
    /// Bytes that a look for the peer's end has read.
    ahead: BytesMut,
    out: Bytes,
    said: Said,
    /// The stream's own end has come.
    ended: bool,
    failed: Option<io::ErrorKind>,
    holds: Option<Holds>,
}

/// How far we have ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Nothing,
    /// The mark of the end is written, or is to be.
    End,
    /// The stream is finished.
    Finished,
    /// By the coming drop.
    EndByDrop,
}

// ===== impl QuicIo =====

impl QuicIo {
    /// `framed`: both ends are Couplets.
    pub(super) fn new(send: SendStream, recv: RecvStream, framed: bool, holds: Holds) -> Self {
        Self {
            send: Some(send),
            recv,
            pieces: framed.then(Pieces::default),
            ahead: BytesMut::new(),
            out: if framed { BEGIN } else { Bytes::new() },
            said: Said::Nothing,
            ended: false,
            failed: None,
            holds: Some(holds),
        }
    }

    /// Says that the stream is open, where that can be said.
    pub(super) async fn say_open(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_drain(cx)).await
    }

    /// Hears that the stream is open, where that is said.
    pub(super) async fn hear_open(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            if self.pieces.as_ref().is_none_or(Pieces::is_opened) {
                return Poll::Ready(Ok(()));
            }
            // It takes not a byte more.
            let mut none = ReadBuf::new(&mut []);
            let heard = ready!(self.poll_fill(cx, &mut none, true));
            Poll::Ready(heard.map(drop))
        })
        .await
    }

    /// Reads what can be had; 0 is the end.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        only_open: bool,
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.failed {
            return Poll::Ready(Err(kind.into()));
        }
        let recv = &mut self.recv;
        let mut read = |cx: &mut Context<'_>, room: &mut [u8]| {
            let read = recv.poll_read(cx, room);
            read.map_err(|error| of_read(&error))
        };
        let filled = match &mut self.pieces {
            Some(pieces) => ready!(pieces.poll_read(cx, buf, only_open, read)),
            None => {
                let filled = ready!(read(cx, buf.initialize_unfilled()));
                filled.inspect(|n| buf.advance(*n))
            }
        };
        match &filled {
            Ok(0) if !only_open => self.ended = true,
            Ok(_) => {}
            Err(error) => self.failed = Some(error.kind()),
        }
        Poll::Ready(filled)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(send) = &mut self.send else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        while !self.out.is_empty() {
            // Nothing is written where the future is dropped before it is ready.
            let mut chunks = [self.out.clone()];
            let written = pin!(send.write_chunks(&mut chunks)).poll(cx);
            let written = ready!(written).map_err(|error| of_write(&error))?;
            self.out.advance(written.bytes);
        }
        Poll::Ready(Ok(()))
    }
}

fn of_read(error: &ReadError) -> io::Error {
    match error {
        ReadError::ConnectionLost(error) => of_carrier(error),
        _ => io::ErrorKind::ConnectionReset.into(),
    }
}

fn of_write(error: &WriteError) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => of_carrier(error),
        WriteError::ClosedStream => io::ErrorKind::BrokenPipe.into(),
        _ => io::ErrorKind::ConnectionReset.into(),
    }
}

/// What became of the carrier of a stream.
fn of_carrier(error: &ConnectionError) -> io::Error {
    match error {
        ConnectionError::TimedOut => io::ErrorKind::TimedOut.into(),
        _ => io::ErrorKind::ConnectionReset.into(),
    }
}

// ===== the io =====

impl Io for QuicIo {
    /// The carrier is that of others, too.
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    /// The drop after this is a cut.
    fn abort(&mut self) {
        if self.said == Said::EndByDrop {
            self.said = Said::Nothing;
        }
        let _ = self.recv.stop(CUT);
        if self.pieces.is_none()
            && let Some(send) = &mut self.send
        {
            let _ = send.reset(CUT);
        }
    }

    fn shut_by_drop(&mut self) {
        if self.said == Said::Nothing {
            self.said = Said::EndByDrop;
        }
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.failed.map(Into::into)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        loop {
            if self.failed.is_some() {
                return Poll::Ready(Gone::Failed);
            }
            if !self.ahead.is_empty() {
                return Poll::Pending;
            }
            if self.ended {
                return Poll::Ready(Gone::Ended);
            }
            let mut scratch = [0; SCRATCH];
            let mut buf = ReadBuf::new(&mut scratch);
            if ready!(self.poll_fill(cx, &mut buf, false)).is_ok() {
                self.ahead.extend_from_slice(buf.filled());
            }
        }
    }
}

impl AsyncRead for QuicIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..n]);
            self.ahead.advance(n);
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        if self.ended || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_fill(cx, buf, false).map_ok(drop)
    }
}

#[warn(clippy::missing_trait_methods)]
impl AsyncWrite for QuicIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.said != Said::Nothing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_drain(cx))?;
        if self.pieces.is_none() {
            let Some(send) = &mut self.send else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let written = pin!(send.write(buf)).poll(cx);
            return written.map_err(|error| of_write(&error));
        }
        let (piece, taken) = piece(buf);
        self.out = piece;
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    /// What has been handed to quinn is on its way.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drain(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if matches!(self.said, Said::Nothing | Said::EndByDrop) {
            self.said = Said::End;
            if self.pieces.is_some() {
                self.out = END;
            }
        }
        ready!(self.poll_drain(cx))?;
        if self.said == Said::End {
            self.said = Said::Finished;
            if let Some(send) = &mut self.send {
                // It fails where it is reset, or stopped by the peer: that shows elsewhere.
                let _ = send.finish();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for QuicIo {
    fn drop(&mut self) {
        let Some(send) = self.send.take() else {
            return;
        };
        if !self.ended {
            let _ = self.recv.stop(CUT);
        }
        let out = std::mem::take(&mut self.out);
        let is_end = match self.said {
            // The mark may still be in `out`.
            Said::End | Said::Finished => true,
            Said::EndByDrop => {
                let mark = self.pieces.is_some().then_some(END);
                linger(
                    send,
                    [out, mark.unwrap_or_default()],
                    true,
                    self.holds.take(),
                );
                return;
            }
            Said::Nothing => false,
        };
        // Between two Couplets a stream that is finished without the mark is a reset.
        let finishes = is_end || self.pieces.is_some();
        linger(send, [out, Bytes::new()], finishes, self.holds.take());
    }
}

impl fmt::Debug for QuicIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicIo")
            .field("stream", &self.recv.id())
            .field("pieces", &self.pieces)
            .field("said", &self.said)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
