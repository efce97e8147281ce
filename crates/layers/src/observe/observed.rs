//! [`Observed`]: the io of a layer that looks at the bytes read and changes none.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
#[cfg(unix)]
use couplet_endpoint::io::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sees the bytes read from one connection: see [`Observed`].
///
/// Each method is called by the task that moves the bytes, and should return soon.
pub trait Observe {
    /// The bytes of one read, at least one.
    fn data(&mut self, bytes: &[u8]);

    /// The stream has ended. Called at each read that finds the end.
    fn ended(&mut self);

    /// The connection has failed.
    fn failed(&mut self, error: &io::Error);

    /// Whether the observer is done: it is not called any more, and later bytes may be spliced.
    fn is_done(&self) -> bool {
        false
    }
}

/// An [`Io`] that shows an observer the bytes read. Writes go straight through.
///
/// **Splice:** while there is an observer that is not [done](Observe::is_done), bytes read are copied;
/// bytes written may be spliced.
#[derive(derive_more::Debug)]
pub struct Observed<I, O> {
    io: I,
    #[debug("{}", observer.is_some())]
    observer: Option<O>,
}

// ===== impl Observed =====

impl<I, O: Observe> Observed<I, O> {
    /// Shows the observer, if there is one, the bytes read.
    pub const fn new(io: I, observer: Option<O>) -> Self {
        Self { io, observer }
    }

    /// The io within.
    pub const fn get_ref(&self) -> &I {
        &self.io
    }

    /// The io within. Bytes read from it directly are not observed.
    pub const fn get_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// The io within; the observer is dropped.
    pub fn into_inner(self) -> I {
        self.io
    }

    fn tell(&mut self, tell: impl FnOnce(&mut O)) {
        if let Some(observer) = &mut self.observer
            && !observer.is_done()
        {
            tell(observer);
        }
    }
}

impl<I: Io, O: Observe + Unpin + Send + 'static> Io for Observed<I, O> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        let error = self.io.take_error();
        // No read returns this error any more.
        if let Some(error) = &error {
            self.tell(|observer| observer.failed(error));
        }
        error
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<couplet_endpoint::io::Gone> {
        self.io.poll_gone(cx)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match &self.observer {
            Some(observer) if !observer.is_done() => None,
            _ => self.io.splice_source(),
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin, O: Observe + Unpin> AsyncRead for Observed<I, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        match &result {
            Ok(()) if buf.filled().len() > before => {
                self.tell(|observer| observer.data(&buf.filled()[before..]));
            }
            Ok(()) if buf.remaining() > 0 => self.tell(Observe::ended),
            // A read without room does not mean the end.
            Ok(()) => {}
            Err(error) => self.tell(|observer| observer.failed(error)),
        }
        Poll::Ready(result)
    }
}

couplet_endpoint::forward_async_write!(
    impl[I: AsyncWrite + Unpin, O: Unpin] for Observed<I, O>, io
);
