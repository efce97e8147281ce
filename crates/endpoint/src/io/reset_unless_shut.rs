use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;

/// Resets a connection that is dropped before its sending half was shut down.
///
/// A plain close sends the peer an end of stream (FIN), which passes for the partner's. With this
/// wrapper, below all layers of a side, the peer gets a reset whenever a connection is dropped without
/// an end on purpose: by a refusal, a deadline, a panic or a layer of your own. A layer that has sent
/// the peer a reply shuts the io down, as [`send_and_close`](super::send_and_close) does, and closes
/// cleanly.
///
/// Costs no system call on a connection that is shut down, and keeps splice.
#[derive(Debug)]
pub struct ResetUnlessShut<I: Io> {
    io: I,
    shut: bool,
}

// ===== impl ResetUnlessShut =====

impl<I: Io> ResetUnlessShut<I> {
    /// Wraps an io whose sending half is open.
    pub const fn new(io: I) -> Self {
        Self { io, shut: false }
    }

    /// The io within.
    pub const fn get_ref(&self) -> &I {
        &self.io
    }
}

impl<I: Io> Drop for ResetUnlessShut<I> {
    fn drop(&mut self) {
        if !self.shut {
            self.io.abort();
        }
    }
}

impl<I: Io> Io for ResetUnlessShut<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn shut_by_drop(&mut self) {
        self.shut = true;
        self.io.shut_by_drop();
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<super::Gone> {
        self.io.poll_gone(cx)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<super::Socket<'_>> {
        self.io.splice_source()
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<super::Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: Io> AsyncRead for ResetUnlessShut<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: Io> AsyncWrite for ResetUnlessShut<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::io::send_and_close;

    async fn connection() -> (TcpStream, ResetUnlessShut<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (peer, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        (peer.unwrap(), ResetUnlessShut::new(accepted.unwrap().0))
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_is_reset() {
        let (mut peer, io) = connection().await;
        drop(io);
        let error = peer.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_connection_that_was_shut_down_has_an_end() {
        let (mut peer, mut io) = connection().await;
        io.write_all(b"bye").await.unwrap();
        io.shutdown().await.unwrap();
        drop(io);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "bye");
    }

    #[tokio::test]
    async fn a_connection_shut_down_by_its_own_drop_has_an_end() {
        let (mut peer, mut io) = connection().await;
        io.shut_by_drop();
        drop(io);
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_abort_counts_after_a_shutdown_too() {
        let (mut peer, mut io) = connection().await;
        io.shut_by_drop();
        io.abort();
        drop(io);
        assert!(peer.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_refused_peer_receives_its_reply_and_an_end() {
        let (mut peer, io) = connection().await;
        let saying = tokio::spawn(send_and_close(io, b"no\n", Duration::from_secs(60)));
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "no\n");
        drop(peer);
        saying.await.unwrap();
    }
}
