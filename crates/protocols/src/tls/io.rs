use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Gone, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{TlsError, rustls, session::Session, stream::Stream};
use crate::shared_io::{first, tell_end};

/// The meaning of a connection that closes without a `close_notify`.
///
/// A TLS peer announces the end of its stream (RFC 8446, section 6.1). Without the announcement an
/// attacker who cuts the connection can't be told from a peer that has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Truncation {
    /// An error: the partner reads a reset. A *client* may still close without `close_notify` after the server
    /// has finished, because no more bytes are expected from it.
    #[default]
    Refuse,
    /// An end of stream, for peers that never send a `close_notify`. An attacker who cuts the
    /// connection can then pass half a message for a whole one. Still an error within a record.
    Tolerate,
}

/// An [`Io`] that speaks TLS: reads and writes are plain text.
///
/// Shutting it down sends a `close_notify` and leaves the reading half as it is. The socket is
/// shut down when the peer's stream has ended as well or when this is dropped, because some peers
/// take a half-close of the socket for the end of both directions. Dropping it without shutting it
/// down sends no `close_notify`: the peer sees a cut.
#[derive(derive_more::Debug)]
#[debug("TlsIo")]
pub struct TlsIo<I> {
    /// Boxed, because a session is a kilobyte and connections are moved about.
    stream: Box<Stream<I>>,
    pub(super) truncation: Truncation,
    /// How the peer's stream has ended.
    end: Option<io::Result<()>>,
}

// ===== impl TlsIo =====

impl<I> TlsIo<I> {
    pub(super) const fn new(stream: Box<Stream<I>>, truncation: Truncation) -> Self {
        Self {
            stream,
            truncation,
            end: None,
        }
    }

    /// The io within, which carries the records.
    pub fn get_ref(&self) -> &I {
        self.stream.wire().get_ref()
    }

    /// The session's state in rustls.
    pub fn session(&self) -> &rustls::CommonState {
        self.stream.session()
    }

    fn io(&mut self) -> &mut I {
        self.stream.wire_mut().io_mut()
    }

    /// How an error ends the stream.
    fn judge(&self, error: io::Error) -> io::Result<()> {
        let wire = self.stream.wire();
        if error.kind() != io::ErrorKind::UnexpectedEof || !wire.has_ended() {
            return Err(TlsError::of_io(error));
        }
        // After the server's end nothing of the client's is awaited; a server's answer always is.
        let server_has_finished =
            matches!(self.stream.session(), Session::Server(_)) && wire.has_said_goodbye();
        let tolerated = self.truncation == Truncation::Tolerate || server_has_finished;
        match tolerated && self.stream.is_between_records() {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                TlsError::Truncated,
            )),
        }
    }
}

// Never spliced: what the socket carries is not what a reader gets.
impl<I: Io> Io for TlsIo<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(self.io())
    }

    fn abort(&mut self) {
        self.stream.wire_mut().abort();
        self.io().abort();
    }

    /// Decrypts what has come, and holds it.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        if self.end.is_none() {
            match self.stream.poll_heard(cx) {
                Poll::Ready(Ok(false)) => self.end = Some(Ok(())),
                Poll::Ready(Ok(true)) | Poll::Pending => {
                    return match self.take_error() {
                        Some(_) => Poll::Ready(Gone::Failed),
                        None => Poll::Pending,
                    };
                }
                Poll::Ready(Err(error)) => self.end = Some(self.judge(error)),
            }
        }
        Poll::Ready(match self.end {
            Some(Err(_)) => Gone::Failed,
            Some(Ok(())) | None => Gone::Ended,
        })
    }
}

impl<I: Io> AsyncRead for TlsIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.end.is_none() {
            let before = buf.filled().len();
            match ready!(self.stream.poll_read(cx, buf)) {
                Ok(()) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                Ok(()) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(self.judge(error)),
            }
        }
        Poll::Ready(tell_end(self.end.as_mut().expect("it was set above")))
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: Io> AsyncWrite for TlsIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    /// Of the first that is not empty.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, first(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_goodbye(cx))?;
        match self.end {
            Some(Ok(())) => Pin::new(self.io()).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}
