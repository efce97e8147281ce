//! The io of a side.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_connector::endpoint::{BoxIo, Io, TcpIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection of any kind of endpoint. Not a box, so that TCP costs no allocation.
pub(crate) enum Stream {
    Tcp(TcpIo),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    /// What the handshakes of proxies have made of a connection.
    Boxed(BoxIo),
    #[cfg(unix)]
    Stdio(Box<couplet_connector::endpoint::Stdio>),
    #[cfg(unix)]
    Exec(Box<couplet_connector::endpoint::ExecIo>),
    #[cfg(target_os = "linux")]
    Vsock(couplet_connector::endpoint::VsockIo),
    #[cfg(feature = "quic")]
    Quic(Box<couplet_protocols::quic::QuicIo>),
}

/// The stream of any kind.
macro_rules! any {
    ($stream:expr, $io:ident => $does:expr) => {
        match $stream {
            Stream::Tcp($io) => $does,
            #[cfg(unix)]
            Stream::Unix($io) => $does,
            Stream::Boxed($io) => $does,
            #[cfg(unix)]
            Stream::Stdio($io) => $does,
            #[cfg(unix)]
            Stream::Exec($io) => $does,
            #[cfg(target_os = "linux")]
            Stream::Vsock($io) => $does,
            #[cfg(feature = "quic")]
            Stream::Quic($io) => $does,
        }
    };
}

// ===== impl Stream =====

impl Io for Stream {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        any!(self, io => Some(io))
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<couplet_connector::endpoint::io::Socket<'_>> {
        any!(self, io => io.splice_source())
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<couplet_connector::endpoint::io::Socket<'_>> {
        any!(self, io => io.splice_sink())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_read(cx, buf))
    }
}

#[warn(clippy::missing_trait_methods)]
impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        any!(&mut *self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        any!(&mut *self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        any!(self, io => io.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_shutdown(cx))
    }
}
