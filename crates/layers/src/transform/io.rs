use std::{
    fmt, io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
#[cfg(unix)]
use couplet_endpoint::io::Socket;
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
    /// The transform may have more to say without more input.
    resumable: bool,
    /// Input was taken since the last flush.
    unflushed: bool,
    /// How it has ended; told once the output has gone.
    end: Option<io::Result<()>>,
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
                end: None,
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

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.active {
            None => self.io.splice_source(),
            Some(_) => None,
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
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
        while active.output.is_empty() {
            if let Some(end) = &mut active.end {
                return Poll::Ready(tell(end));
            }
            if let Err(error) = ready!(active.poll_more(cx, io)) {
                active.end = Some(Err(error));
            }
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
            return Poll::Ready(self.transform());
        }
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(io).poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(())) if chunk.filled().is_empty() => {
                let finished = self.transform.finish(&mut self.input, &mut self.output);
                self.end = Some(finished.map_err(failed));
            }
            Poll::Ready(Ok(())) => {
                self.input.extend_from_slice(chunk.filled());
                self.transform()?;
            }
            // What the transform holds back came before.
            Poll::Ready(Err(error)) => return Poll::Ready(self.flush().and(Err(error))),
            Poll::Pending => {
                self.flush()?;
                if self.output.is_empty() {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn transform(&mut self) -> io::Result<()> {
        self.unflushed = true;
        self.transform
            .transform(&mut self.input, &mut self.output)
            .map_err(failed)?;
        self.resumable = !self.output.is_empty();
        if self.output.is_empty() && self.input.len() > PENDING {
            return Err(failed("it makes nothing of 8 MiB".into()));
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.unflushed) {
            return Ok(());
        }
        self.transform.flush(&mut self.output).map_err(failed)
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

/// An error is told once, and then again by its kind.
fn tell(end: &mut io::Result<()>) -> io::Result<()> {
    match end {
        Ok(()) => Ok(()),
        Err(error) => {
            let again = error.kind().into();
            Err(std::mem::replace(error, again))
        }
    }
}

fn failed(source: BoxError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TransformFailed(source))
}

#[derive(Debug, thiserror::Error)]
#[error("a transform failed")]
struct TransformFailed(#[source] BoxError);
