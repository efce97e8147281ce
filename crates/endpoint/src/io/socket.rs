use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
};

use rustix::net::{SendFlags, send};
use socket2::SockRef;
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{TcpStream, UnixStream},
};

/// A socket whose bytes a relay may move without reading them, see
/// [`Io::splice_source`](super::Io::splice_source).
#[derive(Clone, Copy, Debug)]
pub struct Socket<'a> {
    stream: Stream<'a>,
    counter: Option<&'a AtomicU64>,
    in_frames: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stream<'a> {
    #[cfg(target_os = "linux")]
    TcpIo(&'a super::TcpIo),
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
    /// Of a pipe or a socket of any kind, which does not block.
    Descriptor(&'a AsyncFd<OwnedFd>),
}

// ===== impl Socket =====

impl<'a> Socket<'a> {
    #[cfg(target_os = "linux")]
    pub(super) const fn tcp_io(io: &'a super::TcpIo) -> Self {
        Self::new(Stream::TcpIo(io))
    }

    /// A TCP socket of tokio's.
    pub const fn tcp(stream: &'a TcpStream) -> Self {
        Self::new(Stream::Tcp(stream))
    }

    /// A Unix stream socket.
    pub const fn unix(stream: &'a UnixStream) -> Self {
        Self::new(Stream::Unix(stream))
    }

    pub(crate) const fn descriptor(descriptor: &'a AsyncFd<OwnedFd>) -> Self {
        Self::new(Stream::Descriptor(descriptor))
    }

    const fn new(stream: Stream<'a>) -> Self {
        Self {
            stream,
            counter: None,
            in_frames: false,
        }
    }

    /// Sets options of a TCP socket; a Unix socket or a pipe has none.
    pub(super) fn set(&self, set: impl FnOnce(&SockRef<'_>) -> io::Result<()>) -> io::Result<()> {
        match self.stream {
            Stream::Tcp(socket) => set(&SockRef::from(socket)),
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => set(&SockRef::from(socket)),
            Stream::Unix(_) | Stream::Descriptor(_) => Ok(()),
        }
    }

    /// The same socket, whose [moved](Self::try_move) bytes are added to `counter`: for a wrapper
    /// that counts what goes through it, and would not see these. There is one counter; a second
    /// call replaces it.
    #[must_use]
    pub const fn counted(mut self, counter: &'a AtomicU64) -> Self {
        self.counter = Some(counter);
        self
    }

    /// The same socket, of an io that puts what is spliced into it in frames.
    #[must_use]
    pub const fn in_frames(mut self) -> Self {
        self.in_frames = true;
        self
    }

    /// Whether bytes that are spliced into the socket are put in frames.
    pub const fn is_in_frames(&self) -> bool {
        self.in_frames
    }

    /// Writes bytes that others follow at once: the system need not send them alone (`MSG_MORE`, see send(2)).
    /// Returns how many were written.
    ///
    /// # Errors
    ///
    /// Those of send(2).
    pub fn poll_write_head(&self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        #[cfg(not(target_os = "linux"))]
        let flags = SendFlags::empty();
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_move(Interest::WRITABLE, || Ok(send(self, head, flags)?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Ready when there may be bytes to read.
    ///
    /// # Errors
    ///
    /// When the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream {
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => socket.poll_read_ready(cx),
            Stream::Tcp(socket) => socket.poll_read_ready(cx),
            Stream::Unix(socket) => socket.poll_read_ready(cx),
            Stream::Descriptor(fd) => fd.poll_read_ready(cx).map_ok(drop),
        }
    }

    /// Ready when there may be room to write.
    ///
    /// # Errors
    ///
    /// When the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream {
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => socket.poll_write_ready(cx),
            Stream::Tcp(socket) => socket.poll_write_ready(cx),
            Stream::Unix(socket) => socket.poll_write_ready(cx),
            Stream::Descriptor(fd) => fd.poll_write_ready(cx).map_ok(drop),
        }
    }

    /// Whether the runtime knows that the socket has failed. Makes no system call, so an error of this
    /// very moment may not be known yet.
    pub fn is_known_to_have_failed(&self) -> bool {
        let mut known = false;
        let mut mark = || {
            known = true;
            Ok(())
        };
        // It calls only what is ready.
        let _ = match self.stream {
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => socket.try_io(Interest::ERROR, &mut mark),
            Stream::Tcp(socket) => socket.try_io(Interest::ERROR, &mut mark),
            Stream::Unix(socket) => socket.try_io(Interest::ERROR, &mut mark),
            Stream::Descriptor(fd) => fd.try_io(Interest::ERROR, |_| mark()),
        };
        known
    }

    /// Tries a non-blocking system call that moves bytes and returns their number. Clears the readiness
    /// where the call would have blocked.
    ///
    /// # Errors
    ///
    /// The errors of the call, `WouldBlock` included.
    pub fn try_move(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let moved = match self.stream {
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => socket.try_io(interest, call),
            Stream::Tcp(socket) => socket.try_io(interest, call),
            Stream::Unix(socket) => socket.try_io(interest, call),
            Stream::Descriptor(fd) => fd.try_io(interest, |_| call()),
        }?;
        if let Some(counter) = self.counter {
            counter.fetch_add(moved as u64, Ordering::Relaxed);
        }
        Ok(moved)
    }
}

impl AsFd for Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.stream {
            #[cfg(target_os = "linux")]
            Stream::TcpIo(socket) => socket.as_fd(),
            Stream::Tcp(socket) => socket.as_fd(),
            Stream::Unix(socket) => socket.as_fd(),
            Stream::Descriptor(fd) => fd.as_fd(),
        }
    }
}
