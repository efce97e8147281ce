use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};

use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

/// A socket whose bytes a relay may move without reading them, see
/// [`Io::splice_source`](super::Io::splice_source).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Socket<'a> {
    /// A TCP socket.
    Tcp(&'a TcpStream),
    /// A Unix stream socket.
    Unix(&'a UnixStream),
}

// ===== impl Socket =====

impl Socket<'_> {
    /// Ready when there may be something to read.
    ///
    /// # Errors
    ///
    /// When the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    /// Ready when there may be room to write.
    ///
    /// # Errors
    ///
    /// When the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Tries a system call that does not block. If it would have, the readiness is cleared.
    ///
    /// # Errors
    ///
    /// Those of the call, `WouldBlock` included.
    pub fn try_io<T>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(socket) => socket.try_io(interest, call),
            Self::Unix(socket) => socket.try_io(interest, call),
        }
    }
}

impl AsFd for Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}
