use std::{
    fmt, io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use couplet_endpoint::{BoxError, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Transform;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How much input a transform may leave untouched.
const PENDING: usize = 8 * 1024 * 1024;

/// An io whose bytes are transformed as they are read, if it has a transform; what is written to
/// it goes straight through.
pub struct Transformed<I> {
    io: I,
    /// Boxed, because most pairs have a transform in one direction or none.
    active: Option<Box<Active>>,
}

struct Active {
    transform: Box<dyn Transform>,
    input: BytesMut,
    output: BytesMut,
    /// The transform may make more of the input as it is.
    resumable: bool,
    /// Input was taken since the last flush.
    unflushed: bool,
    ended: bool,
}

// ===== impl Transformed =====

impl<I> Transformed<I> {
    pub(super) fn new(io: I, transform: Option<Box<dyn Transform>>) -> Self {
        let active = transform.map(|transform| {
            Box::new(Active {
                transform,
                input: BytesMut::new(),
                output: BytesMut::new(),
                resumable: false,
                unflushed: false,
                ended: false,
            })
        });
        Self { io, active }
    }
}

impl<I: Io> Io for Transformed<I> {
    fn abort(&mut self) {
        self.io.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.io.take_error()
    }

    fn has_unsent(&mut self) -> bool {
        self.io.has_unsent()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Transformed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, active } = &mut *self;
        let Some(active) = active else {
            return Pin::new(io).poll_read(cx, buf);
        };
        while active.output.is_empty() && !active.ended {
            ready!(active.poll_more(cx, io))?;
        }
        active.take_output(buf);
        Poll::Ready(Ok(()))
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Transformed<I>, io);

impl<I: fmt::Debug> fmt::Debug for Transformed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transformed")
            .field("io", &self.io)
            .field("transforms", &self.active.is_some())
            .finish()
    }
}

// ===== impl Active =====

impl Active {
    /// Lets the transform go on with what is left of its input, or else with more.
    fn poll_more<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        if self.resumable {
            self.transform()?;
            if !self.output.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(io).poll_read(cx, &mut chunk)? {
            Poll::Ready(()) if chunk.filled().is_empty() => {
                self.ended = true;
                self.transform
                    .finish(&mut self.input, &mut self.output)
                    .map_err(failed)?;
            }
            Poll::Ready(()) => {
                self.input.extend_from_slice(chunk.filled());
                self.transform()?;
            }
            Poll::Pending if self.unflushed => {
                self.unflushed = false;
                self.transform.flush(&mut self.output).map_err(failed)?;
                if self.output.is_empty() {
                    return Poll::Pending;
                }
            }
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }

    fn transform(&mut self) -> io::Result<()> {
        self.unflushed = true;
        self.transform
            .transform(&mut self.input, &mut self.output)
            .map_err(failed)?;
        self.resumable = !self.input.is_empty() && !self.output.is_empty();
        if self.output.is_empty() && self.input.len() > PENDING {
            return Err(failed("it makes nothing of 8 MiB".into()));
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    fn take_output(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.output.len().min(buf.remaining());
        buf.put_slice(&self.output[..n]);
        self.output.advance(n);
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }
}

fn failed(source: BoxError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TransformFailed(source))
}

#[derive(Debug, thiserror::Error)]
#[error("a transform failed")]
struct TransformFailed(#[source] BoxError);
