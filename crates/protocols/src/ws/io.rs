use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

#[cfg(unix)]
use couplet_endpoint::io::Socket;
use couplet_endpoint::{Gone, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    WsBroken,
    decode::Decoder,
    encode::Encoder,
    mask::Masks,
    pulse::{Beat, Pulse},
};
use crate::shared_io::{Ahead, first, tell};

/// After this many reads that bring no byte the task yields.
const ROUNDS: u32 = 32;

/// The size of a read for which the caller has no buffer.
const SCRATCH: usize = 512;

/// An [`Io`] that speaks WebSocket: reads and writes are plain bytes.
///
/// How its directions end is told [above](super). Dropping it without shutting it down says nothing to
/// the peer but what dropping the io within says: a cut.
pub struct WsIo<I> {
    io: I,
    /// Boxed, because connections are moved about.
    ws: Box<Ws>,
}

struct Ws {
    /// Whether the peer takes an empty message for the end.
    has_end: bool,
    decoder: Decoder,
    encoder: Encoder,
    pulse: Pulse,
    /// Bytes that were read while the caller only asked whether the peer is there.
    ahead: Ahead,
    said: Said,
    /// The io within has ended, or failed, behind the end of the peer's stream.
    closed: bool,
    failed: Option<io::Error>,
}

/// How far we have ended.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Said {
    Nothing,
    /// The message that ends the stream.
    End,
    Close,
    /// The io within is shut down as well.
    Shut,
}

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Client,
    Server,
}

// ===== impl WsIo =====

impl<I: Io> WsIo<I> {
    pub(super) fn new(io: I, role: Role, has_end: bool, ping: Option<Duration>) -> Self {
        Self {
            io,
            ws: Box::new(Ws {
                has_end,
                decoder: Decoder::new(role == Role::Server, has_end),
                encoder: Encoder::new((role == Role::Client).then(Masks::new)),
                pulse: Pulse::new(ping, has_end),
                ahead: Ahead::default(),
                said: Said::Nothing,
                closed: false,
                failed: None,
            }),
        }
    }

    /// The io within, which carries the frames.
    pub const fn get_ref(&self) -> &I {
        &self.io
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> I {
        self.io
    }

    /// Whether half-close is exact, because the peer speaks `couplet.1`.
    pub const fn is_exact(&self) -> bool {
        self.ws.has_end
    }

    /// Reads once, and returns how many bytes that brings: it may be none. What fails is noted.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        let mut read = ReadBuf::new(room);
        let result = match Pin::new(&mut self.io).poll_read(cx, &mut read) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                self.ws.pulse.listens = true;
                return Poll::Pending;
            }
        };
        let n = read.filled().len();
        self.ws.pulse.heard();
        Poll::Ready(match result {
            Ok(()) if n > 0 => {
                let (len, result) = self.decode(&mut room[..n]);
                if let Err(error) = result {
                    self.ws.fail(error);
                }
                len
            }
            Ok(()) => {
                self.ws.on_end_of_io();
                0
            }
            Err(error) => {
                self.ws.break_off(error);
                0
            }
        })
    }

    fn decode(&mut self, bytes: &mut [u8]) -> (usize, io::Result<()>) {
        let ws = &mut *self.ws;
        let (len, result) = ws.decoder.decode(bytes);
        if let Some(pong) = ws.decoder.pong.take() {
            ws.encoder.pong = Some(pong);
        }
        match (result, &ws.decoder.close) {
            (Err(bad), _) => {
                // RFC 6455, section 7.1.7. The peer may not read it any more.
                if ws.said < Said::Close && ws.encoder.push_close(1002).is_ok() {
                    ws.said = Said::Close;
                    let _ = ws.encoder.poll_drain(&mut noop(), &mut self.io);
                }
                let bad = io::Error::new(io::ErrorKind::InvalidData, WsBroken::Frame(bad));
                (len, Err(bad))
            }
            (Ok(()), Some(close)) if !close.is_end() && !ws.decoder.ended => {
                let (code, reason) = (close.code.unwrap_or_default(), close.reason.clone());
                let why = WsBroken::Closed { code, reason };
                (
                    len,
                    Err(io::Error::new(io::ErrorKind::ConnectionReset, why)),
                )
            }
            (Ok(()), _) => (len, Ok(())),
        }
    }

    fn may_write(&self) -> io::Result<()> {
        match &self.ws.failed {
            Some(error) => Err(error.kind().into()),
            None if self.ws.said > Said::Nothing => Err(io::ErrorKind::BrokenPipe.into()),
            None => Ok(()),
        }
    }

    /// Writes what is held, as far as that goes.
    fn drain(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(error)) = self.ws.encoder.poll_drain(cx, &mut self.io) {
            self.ws.break_off(error);
        }
    }

    /// Pings, if it is time, and sends what is held.
    fn tick(&mut self, cx: &mut Context<'_>) {
        match self.ws.pulse.poll(cx) {
            Poll::Ready(Beat::Ping) if self.ws.said < Said::Close => self.ws.encoder.ping = true,
            Poll::Ready(Beat::Gone) => {
                let gone = io::Error::new(io::ErrorKind::TimedOut, WsBroken::Silent);
                self.ws.break_off(gone);
                // So that a read or a write tells.
                cx.waker().wake_by_ref();
            }
            _ => {}
        }
        self.drain(cx);
    }

    /// Both directions have ended: closes.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ws.said == Said::End {
            self.ws.encoder.push_close(1000)?;
            self.ws.said = Said::Close;
        }
        ready!(self.poll_flush_all(cx))?;
        if self.ws.said < Said::Shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.ws.said = Said::Shut;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.ws.encoder.poll_drain(cx, &mut self.io))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Behind the end of the peer's stream: hears its pings and its Close.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let mut scratch = [0; SCRATCH];
        for _ in 0..ROUNDS {
            if self.ws.closed || self.ws.failed.is_some() {
                return;
            }
            if self.poll_fill(cx, &mut scratch).is_pending() {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }
}

// ===== impl Ws =====

impl Ws {
    /// Has the peer's stream ended?
    fn has_ended(&self) -> bool {
        self.decoder.ended || self.decoder.close.is_some()
    }

    fn on_end_of_io(&mut self) {
        if self.has_ended() {
            self.closed = true;
        } else {
            let cut = io::Error::new(io::ErrorKind::UnexpectedEof, WsBroken::Cut);
            self.fail(cut);
        }
    }

    /// The first failure counts.
    fn fail(&mut self, error: io::Error) {
        self.failed.get_or_insert(error);
    }

    /// The io within fails, or the peer is gone: once both streams have ended that is no failure.
    fn break_off(&mut self, error: io::Error) {
        match self.has_ended() && self.said >= Said::End {
            true => self.closed = true,
            false => self.fail(error),
        }
    }

    fn failure(&mut self) -> Option<io::Error> {
        self.failed.as_mut().map(tell)
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

// ===== the io =====

// Never spliced from: what the socket carries is not what a reader gets.
impl<I: Io> Io for WsIo<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    /// The peer, or a proxy on the way, may not see the reset: a Close tells it, too.
    fn abort(&mut self) {
        let ws = &mut *self.ws;
        if ws.said < Said::Close && ws.encoder.is_empty() && ws.encoder.push_close(1011).is_ok() {
            ws.said = Said::Close;
            let _ = self.poll_flush_all(&mut noop());
        }
        self.io.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match &self.ws.failed {
            Some(error) => Some(error.kind().into()),
            None => self.io.take_error(),
        }
    }

    fn has_unsent(&mut self) -> bool {
        !self.ws.encoder.is_empty() || self.io.has_unsent()
    }

    /// A server's frames carry bytes as they are.
    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        let socket = self.io.splice_sink().filter(|_| !self.ws.encoder.masks())?;
        (!socket.is_in_frames()).then(|| socket.in_frames())
    }

    #[cfg(unix)]
    fn poll_splicing(&mut self, cx: &mut Context<'_>, left: u32) -> Poll<io::Result<u32>> {
        self.may_write()?;
        let most = ready!(self.ws.encoder.poll_splicing(cx, &mut self.io, left))?;
        self.ws.pulse.wrote = true;
        Poll::Ready(Ok(most))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        self.tick(cx);
        for _ in 0..ROUNDS {
            if !self.ws.ahead.is_empty() {
                return match self.take_error() {
                    Some(_) => Poll::Ready(Gone::Failed),
                    None => Poll::Pending,
                };
            }
            if self.ws.failed.is_some() {
                return Poll::Ready(Gone::Failed);
            }
            if self.ws.has_ended() {
                return Poll::Ready(Gone::Ended);
            }
            let mut scratch = [0; SCRATCH];
            match self.poll_fill(cx, &mut scratch) {
                Poll::Ready(n) => self.ws.ahead.push(&scratch[..n]),
                Poll::Pending => {
                    self.drain(cx);
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_upkeep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = self.io.poll_upkeep(cx);
        if self.ws.failed.is_some() {
            return inner;
        }
        self.tick(cx);
        // Before its end the stream is its reader's.
        if !self.ws.has_ended() || !self.ws.ahead.is_empty() {
            return inner;
        }
        self.listen(cx);
        if self.ws.said == Said::Nothing {
            self.drain(cx);
            return inner;
        }
        if let Poll::Ready(Err(error)) = self.poll_close(cx) {
            self.ws.break_off(error);
        }
        let may_close = self.ws.closed || self.ws.failed.is_some();
        let has_closed = self.ws.said == Said::Shut && self.ws.decoder.close.is_some();
        match may_close || has_closed {
            true => inner,
            false => Poll::Pending,
        }
    }
}

impl<I: Io> AsyncRead for WsIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.ws.ahead.give(buf) {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            if let Some(error) = self.ws.failure() {
                return Poll::Ready(Err(error));
            }
            if self.ws.has_ended() {
                if self.ws.said >= Said::End {
                    let _ = self.poll_close(cx);
                }
                return Poll::Ready(Ok(()));
            }
            match self.poll_fill(cx, buf.initialize_unfilled()) {
                Poll::Ready(0) => {}
                Poll::Ready(n) => {
                    buf.advance(n);
                    self.drain(cx);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {
                    self.drain(cx);
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: Io> AsyncWrite for WsIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.may_write()?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = ready!(this.ws.encoder.poll_frame(cx, &mut this.io, buf))?;
        this.ws.pulse.wrote = true;
        Poll::Ready(Ok(n))
    }

    /// Each slice is a frame.
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
        if let Some(error) = &self.ws.failed {
            return Poll::Ready(Err(error.kind().into()));
        }
        if self.ws.said == Said::Nothing {
            if self.ws.has_end {
                self.ws.encoder.push_end()?;
                self.ws.said = Said::End;
            } else {
                self.ws.encoder.push_close(1000)?;
                self.ws.said = Said::Close;
            }
        }
        ready!(self.poll_flush_all(cx))?;
        match self.ws.has_ended() {
            true => self.poll_close(cx),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl<I: fmt::Debug> fmt::Debug for WsIo<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsIo")
            .field("io", &self.io)
            .field("has_end", &self.ws.has_end)
            .field("said", &self.ws.said)
            .field("failed", &self.ws.failed)
            .finish_non_exhaustive()
    }
}
