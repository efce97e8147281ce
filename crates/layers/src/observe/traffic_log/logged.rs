use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
#[cfg(unix)]
use couplet_endpoint::io::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::direction::DirectionLog;

/// An [`Io`] of which is logged what is read: what [`TrafficLog`](super::TrafficLog) makes of
/// each of a pair's. Writes go straight through, and so do reads of a direction that is not to be
/// logged.
#[derive(Debug)]
pub struct Logged<I> {
    io: I,
    log: Option<DirectionLog>,
}

// ===== impl Logged =====

impl<I> Logged<I> {
    pub(super) const fn new(io: I, log: Option<DirectionLog>) -> Self {
        Self { io, log }
    }
}

impl<I: Io> Io for Logged<I> {
    fn abort(&mut self) {
        self.io.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        let error = self.io.take_error();
        // No read will tell of it any more.
        if let (Some(log), Some(error)) = (&mut self.log, &error) {
            log.failed(error);
        }
        error
    }

    fn has_unsent(&mut self) -> bool {
        self.io.has_unsent()
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.log {
            None => self.io.splice_source(),
            Some(_) => None,
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Logged<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let result = ready!(Pin::new(&mut this.io).poll_read(cx, buf));
        if let Some(log) = &mut this.log {
            match &result {
                Ok(()) if buf.filled().len() > before => {
                    log.data(&buf.filled()[before..]);
                    if log.is_over() {
                        this.log = None;
                    }
                }
                Ok(()) if buf.remaining() > 0 => log.ended(),
                // Nothing came because nothing was asked for.
                Ok(()) => {}
                Err(error) => log.failed(error),
            }
        }
        Poll::Ready(result)
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Logged<I>, io);
