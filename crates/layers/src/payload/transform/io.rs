use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(unix)]
use couplet_endpoint::io::Socket;
use couplet_endpoint::{Gone, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Transform, reading::Reading, writing::Writing};

/// An io with a transform for bytes read, one for bytes written, or none.
///
/// Made by [`TransformLayer`](super::TransformLayer) and [`CodecLayer`](crate::CodecLayer), or by hand in
/// a handshake that negotiates a format.
///
/// Bytes written are held until the transform has made its output and the io has taken that: flush the
/// io. A shutdown first adds the transform's last bytes; an io that is dropped or aborted without a
/// shutdown has not ended its stream. Once a transform of writes has failed, reads fail too.
#[derive(derive_more::Debug)]
pub struct Transformed<I> {
    io: I,
    /// Boxed, because most ios have a transform in one direction or none.
    #[debug("{}", reading.is_some())]
    reading: Option<Box<Reading>>,
    #[debug("{}", writing.is_some())]
    writing: Option<Box<Writing>>,
}

// ===== impl Transformed =====

impl<I> Transformed<I> {
    /// Wraps an io without a transform in either direction.
    pub const fn new(io: I) -> Self {
        Self::with(io, None, None)
    }

    /// Puts bytes read through this transform.
    #[must_use]
    pub fn reading(mut self, transform: impl Transform) -> Self {
        self.reading = Some(Box::new(Reading::new(transform)));
        self
    }

    /// Puts bytes written through this transform.
    #[must_use]
    pub fn writing(mut self, transform: impl Transform) -> Self {
        self.writing = Some(Box::new(Writing::new(transform)));
        self
    }

    pub(crate) const fn with(
        io: I,
        reading: Option<Box<Reading>>,
        writing: Option<Box<Writing>>,
    ) -> Self {
        Self {
            io,
            reading,
            writing,
        }
    }
}

impl<I: Io> Io for Transformed<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    /// Transforms what has come, and holds it.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let Some(reading) = &mut self.reading else {
            return self.io.poll_gone(cx);
        };
        match reading.poll_gone(cx, &mut self.io) {
            Poll::Ready(gone) => Poll::Ready(gone),
            Poll::Pending => match self.io.take_error() {
                Some(_) => Poll::Ready(Gone::Failed),
                None => Poll::Pending,
            },
        }
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.reading {
            None => self.io.splice_source(),
            Some(_) => None,
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        match self.writing {
            None => self.io.splice_sink(),
            Some(_) => None,
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transformed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            io,
            reading,
            writing,
        } = &mut *self;
        // A connection whose writes have failed is broken, so its reads fail too.
        if let Some(error) = writing.as_mut().and_then(|writing| writing.failure()) {
            return Poll::Ready(Err(error));
        }
        match reading {
            None => Pin::new(io).poll_read(cx, buf),
            Some(reading) => reading.poll_read(cx, io, buf),
        }
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: AsyncWrite + Unpin> AsyncWrite for Transformed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, writing, .. } = &mut *self;
        match writing {
            None => Pin::new(io).poll_write(cx, bytes),
            Some(writing) => writing.poll_write(cx, io, &[io::IoSlice::new(bytes)]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, writing, .. } = &mut *self;
        match writing {
            None => Pin::new(io).poll_flush(cx),
            Some(writing) => writing.poll_flush(cx, io),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, writing, .. } = &mut *self;
        match writing {
            None => Pin::new(io).poll_shutdown(cx),
            Some(writing) => writing.poll_shutdown(cx, io),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, writing, .. } = &mut *self;
        match writing {
            None => Pin::new(io).poll_write_vectored(cx, slices),
            Some(writing) => writing.poll_write(cx, io, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.writing.is_some() || self.io.is_write_vectored()
    }
}
