use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::Io;
#[cfg(unix)]
use couplet_endpoint::io::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::active::Active;

/// An io with a fault in the bytes read, or none; writes go straight through.
#[derive(Debug)]
pub struct Faulty<I> {
    io: I,
    /// Boxed, because most pairs have a fault in one direction or none.
    fault: Option<Box<Active>>,
}

// ===== impl Faulty =====

impl<I> Faulty<I> {
    pub(super) fn new(io: I, fault: Option<Active>) -> Self {
        Self {
            io,
            fault: fault.map(Box::new),
        }
    }
}

impl<I: Io> Io for Faulty<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match &self.fault {
            Some(fault) if !fault.is_idle() => None,
            _ => self.io.splice_source(),
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Faulty<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, fault } = &mut *self;
        match fault {
            Some(fault) => fault.poll_read(cx, io, buf),
            None => Pin::new(io).poll_read(cx, buf),
        }
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Faulty<I>, io);
