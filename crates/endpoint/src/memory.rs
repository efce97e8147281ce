//! Endpoints within the process: connections without sockets, for tests.
//!
//! They behave as TCP does where it matters to a relay: a dropped end is an end of stream, a
//! shut-down end leaves the other direction open, an [aborted](crate::Io::abort) one is a reset
//! (unless it was shut down before: what it had sent stays whole), and a full buffer holds its
//! writer up.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use futures::{Stream, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
};
use tower_service::Service;

use crate::{
    conn::{Conn, Origin},
    endpoint::Endpoint,
    io::Io,
};

/// How many connections wait to be accepted before [`Dial::connect`] waits.
const BACKLOG: usize = 128;

/// How many bytes each direction of a connection of [`endpoint`] holds.
const BUFFER: usize = 64 * 1024;

/// An endpoint within the process: the [`Listen`] accepts the connections of the [`Dial`].
pub fn endpoint() -> (Dial, Listen) {
    let (queue, accepts) = mpsc::channel(BACKLOG);
    (Dial(queue), Listen(accepts))
}

/// Two ends of one connection, each direction of which holds up to `buffer` bytes.
pub fn connection(buffer: usize) -> (MemoryStream, MemoryStream) {
    let (a, b) = tokio::io::duplex(buffer);
    let (a_reset, b_reset) = <(Arc<Reset>, Arc<Reset>)>::default();
    let end = |io, reset: &Arc<_>, peer_reset: &Arc<_>| MemoryStream {
        io,
        shut_down: false,
        aborting: false,
        reset: Arc::clone(reset),
        peer_reset: Arc::clone(peer_reset),
    };
    (end(a, &a_reset, &b_reset), end(b, &b_reset, &a_reset))
}

/// One end of a connection within the process.
#[derive(Debug)]
pub struct MemoryStream {
    io: DuplexStream,
    shut_down: bool,
    aborting: bool,
    reset: Arc<Reset>,
    peer_reset: Arc<Reset>,
}

/// The error that the peer of a reset end gets.
type Reset = OnceLock<io::ErrorKind>;

/// Connects to the [`Listen`] that was made with it.
#[derive(Clone, Debug)]
pub struct Dial(mpsc::Sender<MemoryStream>);

/// Accepts the connections of its [`Dial`]s; ends when all of those are dropped.
#[derive(Debug)]
pub struct Listen(mpsc::Receiver<MemoryStream>);

// ===== impl Dial =====

impl Dial {
    /// Connects.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` when the [`Listen`] was dropped.
    pub async fn connect(&self) -> io::Result<MemoryStream> {
        let (ours, theirs) = connection(BUFFER);
        self.0
            .send(theirs)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(ours)
    }
}

impl<R> Service<R> for Dial {
    type Response = Conn<MemoryStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move { Ok(Conn::new(dial.connect().await?, Origin::Dialled)) })
    }
}

// ===== impl Listen =====

impl Stream for Listen {
    type Item = io::Result<Conn<MemoryStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let io = ready!(self.0.poll_recv(cx));
        Poll::Ready(io.map(|io| Ok(Conn::new(io, Origin::Accepted))))
    }
}

impl Endpoint for Listen {
    type Io = MemoryStream;
    type Error = io::Error;
}

// ===== impl MemoryStream =====

impl MemoryStream {
    /// The peer's reset, as the error that the system would return.
    fn peer_reset(&self) -> Option<io::Error> {
        self.peer_reset.get().map(|&kind| kind.into())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        if self.aborting {
            // Linux tells the two apart: see tcp_reset in net/ipv4/tcp_input.c.
            let kind = match self.shut_down {
                true => io::ErrorKind::BrokenPipe,
                false => io::ErrorKind::ConnectionReset,
            };
            // Only this end sets it.
            let _ = self.reset.set(kind);
        }
    }
}

impl Io for MemoryStream {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    fn abort(&mut self) {
        self.aborting = true;
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.peer_reset()
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let ended = buf.filled().len() == before && buf.remaining() > 0;
        match self.peer_reset() {
            Some(reset) if ended && reset.kind() == io::ErrorKind::ConnectionReset => {
                Poll::Ready(Err(reset))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(result.map_err(|error| self.peer_reset().unwrap_or(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_dialled_connection_is_accepted() {
        let (dial, mut listen) = endpoint();
        let mut client = dial.connect().await.unwrap();
        let mut server = listen.next().await.unwrap().unwrap().io;
        client.write_all(b"hi").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hi");
        drop(dial);
        assert!(listen.next().await.is_none());
    }

    #[tokio::test]
    async fn an_aborted_end_is_a_reset_after_its_bytes() {
        let (mut a, mut b) = connection(64);
        a.write_all(b"last words").await.unwrap();
        a.abort();
        drop(a);
        let mut heard = [0; 10];
        b.read_exact(&mut heard).await.unwrap();
        let error = b.read(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = b.write(b"?").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn an_end_before_the_reset_is_still_an_end() {
        let (mut a, mut b) = connection(64);
        a.write_all(b"all").await.unwrap();
        a.shutdown().await.unwrap();
        a.abort();
        drop(a);
        let mut heard = String::new();
        b.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "all");
        let error = b.write(b"?").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(b.take_error().is_some());
    }

    #[tokio::test]
    async fn a_dropped_end_is_an_end_of_stream() {
        let (a, mut b) = connection(64);
        drop(a);
        assert_eq!(b.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(b.take_error().is_none());
    }
}
