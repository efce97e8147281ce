//! TCP connections: [`TcpIo`] and tokio's [`TcpStream`] as [`Io`]s.

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod stream;

#[cfg(not(target_os = "linux"))]
pub use self::other::TcpIo;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::{TcpListener, connect};
#[cfg(target_os = "linux")]
pub use self::stream::TcpIo;
#[cfg(target_os = "linux")]
pub(crate) use self::stream::{TcpListener, connect};

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::{io::ReadBuf, net::TcpStream};

#[cfg(unix)]
use super::Socket;
use super::{Gone, Io};
#[cfg(target_os = "linux")]
use super::{Probe, Unanswered};

/// TCP, or Multipath TCP: see mptcp in the kernel's networking documentation.
pub(crate) fn protocol(multipath: bool) -> io::Result<Protocol> {
    match multipath {
        false => Ok(Protocol::TCP),
        #[cfg(target_os = "linux")]
        true => Ok(Protocol::MPTCP),
        #[cfg(not(target_os = "linux"))]
        true => Err(no_multipath(io::ErrorKind::Unsupported.into())),
    }
}

/// Whether this system has Multipath TCP.
///
/// # Errors
///
/// Where it has not, or has it switched off: `net.mptcp.enabled` of Linux.
pub(crate) fn check_multipath() -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, Some(protocol(true)?));
    socket.map(drop).map_err(no_multipath)
}

pub(crate) fn no_multipath(error: io::Error) -> io::Error {
    let text = format!(
        "this system has no Multipath TCP, or has it switched off (sysctl net.mptcp.enabled): {error}"
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// A socket to [`connect`] to this peer with. It does not block.
pub(crate) fn socket_for(peer: SocketAddr, multipath: bool) -> io::Result<socket2::Socket> {
    let domain = Domain::for_address(peer);
    let protocol = Some(protocol(multipath)?);
    #[cfg(target_os = "linux")]
    return socket2::Socket::new(domain, Type::STREAM.nonblocking(), protocol);
    #[cfg(not(target_os = "linux"))]
    {
        let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

macro_rules! impl_io {
    ($stream:ty, $socket:path, $peek:expr) => {
        impl Io for $stream {
            fn inner_mut(&mut self) -> Option<&mut dyn Io> {
                None
            }

            fn abort(&mut self) {
                // It fails only where the socket is closed already: then there is nothing to abort.
                let _ = SockRef::from(&*self).set_linger(Some(Duration::ZERO));
            }

            fn take_error(&mut self) -> Option<io::Error> {
                let socket = SockRef::from(&*self);
                match has_failed(&socket) {
                    true => socket.take_error().ok().flatten(),
                    false => None,
                }
            }

            fn has_unsent(&mut self) -> bool {
                has_unsent(&SockRef::from(&*self))
            }

            #[cfg(target_os = "linux")]
            fn sent_ago(&mut self) -> Option<Duration> {
                crate::sockopt::sent_ago(self)
            }

            #[cfg(target_os = "linux")]
            fn unanswered(&mut self) -> Option<Unanswered> {
                crate::sockopt::unanswered(self)
            }

            #[cfg(target_os = "linux")]
            fn heard_ago(&mut self) -> Option<Duration> {
                crate::sockopt::heard_ago(self)
            }

            #[cfg(target_os = "linux")]
            fn begin_probe(&mut self) -> Option<Probe> {
                Probe::begin(&SockRef::from(&*self)).ok()
            }

            #[cfg(target_os = "linux")]
            fn end_probe(&mut self, probe: Probe) {
                // It fails only where the socket is closed already.
                let _ = probe.end(&SockRef::from(&*self));
            }

            fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
                let peek: fn(&Self, &mut Context<'_>) -> Poll<io::Result<usize>> = $peek;
                match peek(self, cx) {
                    Poll::Ready(Ok(0)) => Poll::Ready(Gone::Ended),
                    Poll::Ready(Err(_)) => Poll::Ready(Gone::Failed),
                    // The runtime may not have heard yet what the system knows already.
                    Poll::Ready(Ok(_)) | Poll::Pending => match self.take_error() {
                        Some(_) => Poll::Ready(Gone::Failed),
                        None => Poll::Pending,
                    },
                }
            }

            #[cfg(unix)]
            fn splice_source(&self) -> Option<Socket<'_>> {
                Some($socket(self))
            }

            #[cfg(unix)]
            fn splice_sink(&self) -> Option<Socket<'_>> {
                Some($socket(self))
            }
        }
    };
}

impl_io!(TcpStream, Socket::tcp, |stream, cx| {
    let mut byte = [0];
    let mut buf = ReadBuf::new(&mut byte);
    stream.poll_peek(cx, &mut buf)
});
#[cfg(target_os = "linux")]
impl_io!(TcpIo, Socket::tcp_io, |stream, cx| stream
    .poll_peek(cx, &mut [0]));

/// `SO_ERROR` also tells what routers have reported of a connection that goes on, such as a host that
/// can't be reached for a moment. poll(2) knows only of what has ended it.
#[cfg(target_os = "linux")]
fn has_failed(socket: &socket2::Socket) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    let ready = poll(&mut fds, Some(&AT_ONCE));
    ready.is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

#[cfg(not(target_os = "linux"))]
fn has_failed(_: &socket2::Socket) -> bool {
    true
}

#[cfg(target_os = "linux")]
const AT_ONCE: rustix::event::Timespec = rustix::event::Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// With `TCP_NOTSENT_LOWAT` at one byte, poll(2) calls a socket writable only when everything
/// written has been sent, and with the smallest `SO_SNDBUF` only when hardly anything of it is
/// unacknowledged: see tcp(7) and socket(7). For a socket that will not be written to any more.
#[cfg(target_os = "linux")]
fn has_unsent(socket: &socket2::Socket) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    if socket.set_tcp_notsent_lowat(1).is_err() || socket.set_send_buffer_size(1).is_err() {
        return false;
    }
    let mut fds = [PollFd::new(socket, PollFlags::OUT)];
    matches!(poll(&mut fds, Some(&AT_ONCE)), Ok(0)) || is_behind_multipath(socket)
}

/// A socket of Multipath TCP whose peer has only TCP is two sockets. The poll asks the outer one, which has
/// handed all bytes to the inner one at once.
#[cfg(target_os = "linux")]
fn is_behind_multipath(socket: &socket2::Socket) -> bool {
    socket.protocol().ok().flatten() == Some(Protocol::MPTCP)
        && crate::sockopt::unsent(socket).is_some_and(|bytes| bytes > 0)
}

#[cfg(not(target_os = "linux"))]
fn has_unsent(_: &socket2::Socket) -> bool {
    false
}
