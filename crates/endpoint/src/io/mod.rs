//! [`Io`]: what a connection's bytes go through.

mod last_words;
mod opaque;
mod replay;
#[cfg(unix)]
mod socket;

#[cfg(unix)]
pub use self::socket::Socket;
pub use self::{last_words::last_words, opaque::Opaque, replay::Replay};

use std::{any::Any, io};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// A stream of bytes each way, and the few things a relay needs to know of it that
/// [`AsyncRead`] and [`AsyncWrite`] can't say.
///
/// Every method has a default that is safe for a stream which knows nothing: wrap a foreign
/// stream in [`Opaque`] and it is an `Io`. A wrapper around another `Io` passes the questions
/// on. There is no blanket implementation, because a [`TcpStream`] must be able to answer.
///
/// The trait is object-safe: [`BoxIo`] answers as the stream inside it does.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Turns the coming drop into an abortive close, so that the peer sees a reset and not an
    /// end of stream (on TCP: a linger time of zero, see `SO_LINGER` in socket(7)).
    ///
    /// By default nothing happens and the peer sees whatever dropping the stream shows it.
    fn abort(&mut self) {}

    /// Takes an error that the system knows of already and no read or write has told yet
    /// (on TCP: `SO_ERROR`, see socket(7)). Takes no byte from the stream.
    fn take_error(&mut self) -> Option<io::Error> {
        None
    }

    /// Are bytes that were written still held on this side, for want of room at the peer?
    /// An abortive close would discard them. Asked only when nothing more will be written.
    ///
    /// On Linux's TCP it is exact but for a last small segment; elsewhere, and by default, `false`.
    fn has_unsent(&mut self) -> bool {
        false
    }

    /// The socket to splice *from*: while, and only while, every byte that a reader would get comes
    /// from it unchanged, and none has been read ahead of it.
    ///
    /// Asked again and again, for each direction apart: a wrapper may say no at first and pass the
    /// question on later, and one that changes or watches what is read may still pass on
    /// [`splice_sink`](Self::splice_sink). To say nothing is to say no: nobody is bypassed who has
    /// not agreed to it.
    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        None
    }

    /// The socket to splice *into*: while, and only while, every byte written reaches it unchanged
    /// and none is held back, and shutting the io down does no more than shutting the socket down.
    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        None
    }
}

/// An [`Io`] whose type is forgotten: what connections become where stacks of different types
/// meet.
pub type BoxIo = Box<dyn Io>;

/// Forgets an io's type. A box is not boxed again.
pub fn boxed<I: Io>(io: I) -> BoxIo {
    let mut io = Some(io);
    if let Some(boxed) = (&mut io as &mut dyn Any).downcast_mut::<Option<BoxIo>>() {
        return boxed.take().expect("it was put there above");
    }
    Box::new(io.expect("it was put there above"))
}

// ===== impl Io for Box =====

impl<T: Io + ?Sized> Io for Box<T> {
    fn abort(&mut self) {
        (**self).abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        (**self).take_error()
    }

    fn has_unsent(&mut self) -> bool {
        (**self).has_unsent()
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        (**self).splice_source()
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        (**self).splice_sink()
    }
}

// ===== impl Io for TcpStream =====

impl Io for TcpStream {
    fn abort(&mut self) {
        // It fails only where the socket is closed already: then there is nothing to abort.
        let _ = self.set_zero_linger();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match tcp_has_failed(self) {
            true => SockRef::from(&*self).take_error().ok().flatten(),
            false => None,
        }
    }

    fn has_unsent(&mut self) -> bool {
        tcp_has_unsent(self)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        Some(Socket::tcp(self))
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        Some(Socket::tcp(self))
    }
}

// ===== impl Io for UnixStream =====

/// A Unix socket has no resets: aborting it is closing it.
#[cfg(unix)]
impl Io for tokio::net::UnixStream {
    fn take_error(&mut self) -> Option<io::Error> {
        SockRef::from(&*self).take_error().ok().flatten()
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        Some(Socket::unix(self))
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        Some(Socket::unix(self))
    }
}

/// `SO_ERROR` also tells what routers have reported of a connection that goes on, such as a host that
/// can't be reached for a moment. poll(2) knows only of what has ended it.
#[cfg(target_os = "linux")]
fn tcp_has_failed(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    let ready = poll(&mut fds, Some(&AT_ONCE));
    ready.is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

#[cfg(not(target_os = "linux"))]
fn tcp_has_failed(_: &TcpStream) -> bool {
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
fn tcp_has_unsent(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let socket = SockRef::from(stream);
    if socket.set_tcp_notsent_lowat(1).is_err() || socket.set_send_buffer_size(1).is_err() {
        return false;
    }
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    matches!(poll(&mut fds, Some(&AT_ONCE)), Ok(0))
}

#[cfg(not(target_os = "linux"))]
fn tcp_has_unsent(_: &TcpStream) -> bool {
    false
}
