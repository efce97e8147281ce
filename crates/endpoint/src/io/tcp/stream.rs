//! [`TcpIo`] of Linux: registered for urgent data, too.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{self, Shutdown, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// A TCP connection, as [`Listen`](crate::Listen) and [`Dial`](crate::Dial) yield it.
///
/// The difference from [`tokio::net::TcpStream`]: bytes behind **urgent data** (`MSG_OOB`) are read at
/// once. After a read that ends short, tokio waits for the next packet. But Linux ends a read short at
/// an urgent mark, too, with more bytes in the queue, even where urgent data stays in the stream
/// (`SO_OOBINLINE`). These bytes would wait for the next packet: for ever, if the peer waits for an
/// answer or for room in the window.
///
/// So this socket is registered for urgent data (`EPOLLPRI`, see epoll_ctl(2)). Once urgent data has
/// come, a read that ends short is followed by another. A connection without urgent data makes no
/// further system call.
///
/// `from_std` makes one of a connection that was made by other means. `socket2::SockRef` gets and sets
/// the socket's options. On other systems than Linux the type is tokio's `TcpStream`.
#[derive(Debug)]
pub struct TcpIo {
    fd: AsyncFd<Socket>,
}

/// A socket, and whether the first read and the first write are tried without an event.
///
/// An accepted socket can be written to, and mostly holds the peer's first bytes already, while the
/// runtime's first event for the socket can queue behind those of all other connections.
#[derive(Debug)]
struct Socket {
    stream: net::TcpStream,
    try_read: bool,
    try_write: bool,
}

/// A listening socket whose connections are [`TcpIo`]s.
#[derive(Debug)]
pub(crate) struct TcpListener {
    fd: AsyncFd<net::TcpListener>,
}

/// Connects a socket that does not block.
pub(crate) async fn connect(socket: socket2::Socket, peer: SocketAddr) -> io::Result<TcpIo> {
    match socket.connect(&peer.into()) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            return Err(error);
        }
        _ => {}
    }
    // A server on this machine has answered by now, mostly. Then there is nothing to wait for.
    let is_connected = socket.peer_addr().is_ok();
    let io = TcpIo::register(Socket {
        stream: socket.into(),
        try_read: false,
        try_write: is_connected,
    })?;
    if is_connected {
        return Ok(io);
    }
    // It becomes writable when it is connected, and when that has failed, which closes it for writing.
    let mut connected = io.fd.writable().await?;
    if connected.ready().is_write_closed()
        && let Some(error) = connected.get_inner().stream.take_error()?
    {
        return Err(error);
    }
    connected.retain_ready();
    drop(connected);
    Ok(io)
}

// ===== impl TcpIo =====

impl TcpIo {
    /// A connection that was made elsewhere. It must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// When it can't be registered: the system's limit is reached, or it is registered already.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        Self::register(Socket {
            stream,
            try_read: false,
            try_write: false,
        })
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// When it is not connected any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.get_ref().stream.peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2), which a connection never meets.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.get_ref().stream.local_addr()
    }

    fn register(socket: Socket) -> io::Result<Self> {
        let interest = Interest::READABLE
            .add(Interest::WRITABLE)
            .add(Interest::PRIORITY);
        register(socket, interest).map(|fd| Self { fd })
    }

    pub(in crate::io) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fd
            .poll_read_ready(cx)
            .map_ok(|mut guard| guard.retain_ready())
    }

    pub(in crate::io) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fd
            .poll_write_ready(cx)
            .map_ok(|mut guard| guard.retain_ready())
    }

    /// How many bytes there are to read, up to the length of the buffer; none is taken.
    pub(super) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            match guard.get_inner().stream.peek(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                peeked => {
                    guard.retain_ready();
                    return Poll::Ready(peeked);
                }
            }
        }
    }

    pub(in crate::io) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.fd.try_io(interest, |_| call())
    }

    /// Is this readiness set? Makes no system call.
    fn is_marked(&self, interest: Interest) -> bool {
        self.fd.try_io(interest, |_| Ok(())).is_ok()
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        write: impl Fn(&net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.fd.get_ref().try_write {
            self.fd.get_mut().try_write = false;
            if !self.is_marked(Interest::WRITABLE) {
                match write(&self.fd.get_ref().stream) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return Poll::Ready(written),
                }
            }
        }
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match write(&guard.get_inner().stream) {
                Ok(n) => {
                    // The socket took what it had room for.
                    if n < len {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for TcpIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.fd.get_ref().try_read {
            this.fd.get_mut().try_read = false;
            if !this.is_marked(Interest::READABLE) {
                match (&this.fd.get_ref().stream).read(buf.initialize_unfilled()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => {
                        buf.advance(read?);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
        loop {
            let mut guard = ready!(this.fd.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            let room = unfilled.len();
            match (&guard.get_inner().stream).read(unfilled) {
                Ok(n) => {
                    // The socket gave all it had, or it stopped at an urgent mark.
                    if 0 < n && n < room && !this.is_marked(Interest::PRIORITY) {
                        guard.clear_ready();
                    }
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[warn(clippy::missing_trait_methods)]
impl AsyncWrite for TcpIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, buf.len(), |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_write_with(cx, len, |mut stream| stream.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// A socket holds nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.fd.get_ref().stream.shutdown(Shutdown::Write) {
            // Shut down before, or reset: tokio's `TcpStream` says so, too.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl AsFd for TcpIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().stream.as_fd()
    }
}

impl AsRawFd for TcpIo {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

// ===== impl TcpListener =====

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

impl TcpListener {
    /// The listener must be in non-blocking mode.
    pub(crate) fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        register(listener, Interest::READABLE).map(|fd| Self { fd })
    }

    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpIo, SocketAddr)>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (fd, peer) = match acceptfrom_with(guard.get_inner(), flags) {
                Err(rustix::io::Errno::AGAIN) => {
                    guard.clear_ready();
                    continue;
                }
                accepted => accepted?,
            };
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            // The kernel gives none to a client that has gone already.
            let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
            let io = TcpIo::register(Socket {
                stream: fd.into(),
                try_read: true,
                try_write: true,
            })?;
            return Poll::Ready(Ok((io, peer)));
        }
    }
}

/// The deprecated constructor is unsound for a foreign type, whose `AsRawFd` may name another
/// descriptor later, or a closed one. For a socket of the standard library it is sound.
#[allow(
    deprecated,
    reason = "the other constructor is `unsafe`, which this workspace forbids"
)]
fn register<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}
