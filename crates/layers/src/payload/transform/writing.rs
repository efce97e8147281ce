use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use tokio::io::AsyncWrite;

use super::{
    Transform,
    work::{CHUNK, Work},
};
use crate::shared_io::tell;

/// A transform of the bytes written to an io.
pub(crate) struct Writing<T: ?Sized = dyn Transform> {
    finished: bool,
    /// The error, returned once the output is delivered.
    failure: Option<io::Error>,
    work: Work<T>,
}

// ===== impl Writing =====

impl<T: Transform> Writing<T> {
    pub(crate) fn new(transform: T) -> Self {
        Self {
            finished: false,
            failure: None,
            work: Work::new(transform),
        }
    }
}

impl<T: Transform + ?Sized> Writing<T> {
    /// Takes more only when all output is delivered, so that no more is held than the output of one chunk.
    pub(super) fn poll_write<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx, io))?;
        if self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut n = 0;
        for slice in slices {
            let taken = &slice[..slice.len().min(CHUNK - n)];
            self.work.input.extend_from_slice(taken);
            n += taken.len();
        }
        if n > 0 {
            self.failure = self.work.run().err();
        }
        Poll::Ready(Ok(n))
    }

    pub(super) fn poll_flush<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx, io))?;
        if !self.finished {
            self.failure = self.work.flush().err();
            ready!(self.poll_drain(cx, io))?;
        }
        Pin::new(io).poll_flush(cx)
    }

    pub(super) fn poll_shutdown<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx, io))?;
        if !self.finished {
            self.finished = true;
            self.failure = self.work.finish().err();
            ready!(self.poll_drain(cx, io))?;
        }
        Pin::new(io).poll_shutdown(cx)
    }

    /// The error, once all output before it is delivered.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        let told = self.work.output.is_empty();
        self.failure.as_mut().filter(|_| told).map(tell)
    }

    /// Writes all output of the transform.
    fn poll_drain<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        loop {
            let output = &mut self.work.output;
            while !output.is_empty() {
                let n = ready!(Pin::new(&mut *io).poll_write(cx, output))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                output.advance(n);
            }
            self.work.free_when_drained();
            if let Some(error) = &mut self.failure {
                ready!(Pin::new(io).poll_flush(cx))?;
                return Poll::Ready(Err(tell(error)));
            }
            if let Err(error) = self.work.resume() {
                self.failure = Some(error);
            } else if self.work.output.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
