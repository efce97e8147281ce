use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use couplet_endpoint::Gone;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Transform,
    work::{CHUNK, Work},
};
use crate::shared_io::tell_end;

/// The reads in a row without output before other tasks get a turn.
const FRUITLESS: usize = 8;

/// A transform of the bytes read from an io.
pub(crate) struct Reading<T: ?Sized = dyn Transform> {
    /// The end or the error, returned once the output is delivered.
    end: Option<io::Result<()>>,
    work: Work<T>,
}

// ===== impl Reading =====

impl<T: Transform> Reading<T> {
    pub(crate) fn new(transform: T) -> Self {
        Self {
            end: None,
            work: Work::new(transform),
        }
    }
}

impl<T: Transform + ?Sized> Reading<T> {
    pub(super) fn poll_read<I: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_output(cx, io));
        if self.work.output.is_empty() {
            return Poll::Ready(self.end.as_mut().map_or(Ok(()), tell_end));
        }
        self.take_output(buf);
        Poll::Ready(Ok(()))
    }

    /// How the stream has ended, once all of it is delivered. Up to a piece of it is transformed, and
    /// held.
    pub(super) fn poll_gone<I: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<Gone> {
        ready!(self.poll_output(cx, io));
        match &self.end {
            _ if !self.work.output.is_empty() => Poll::Pending,
            Some(Err(_)) => Poll::Ready(Gone::Failed),
            Some(Ok(())) | None => Poll::Ready(Gone::Ended),
        }
    }

    /// Ready once there is output, or the stream has ended.
    fn poll_output<I: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<()> {
        let mut fruitless = 0;
        while self.work.output.is_empty() && self.end.is_none() {
            if fruitless == FRUITLESS {
                // A transform without output meets no back-pressure, and a source that is always ready
                // no budget in an unconstrained task.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            fruitless += 1;
            if let Err(error) = ready!(self.poll_more(cx, io)) {
                self.end = Some(Err(error));
            }
            if let Some(Err(error)) = &self.end
                && let Some(mut words) = self.work.last_words(error)
            {
                // Only while the io takes them at once: the relay waits for no peer that failed.
                while let Poll::Ready(Ok(n @ 1..)) = Pin::new(&mut *io).poll_write(cx, &words) {
                    words.advance(n);
                    if words.is_empty() {
                        break;
                    }
                }
                let _ = Pin::new(&mut *io).poll_flush(cx);
            }
        }
        Poll::Ready(())
    }

    /// Lets the transform go on with the rest of its input, or reads more.
    fn poll_more<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        self.work.resume()?;
        if !self.work.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(io).poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(())) if chunk.filled().is_empty() => {
                self.end = Some(self.work.finish());
            }
            Poll::Ready(Ok(())) => {
                self.work.input.extend_from_slice(chunk.filled());
                self.work.run()?;
            }
            // Bytes that the transform holds back came before the error.
            Poll::Ready(Err(error)) => return Poll::Ready(self.work.flush().and(Err(error))),
            Poll::Pending => {
                self.work.flush()?;
                if self.work.output.is_empty() {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_output(&mut self, buf: &mut ReadBuf<'_>) {
        let output = &mut self.work.output;
        let n = output.len().min(buf.remaining());
        buf.put_slice(&output[..n]);
        output.advance(n);
        self.work.free_when_drained();
    }
}
