//! [`Io`]: what a connection's bytes go through.

mod opaque;
mod replay;

pub use self::{opaque::Opaque, replay::Replay};

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
    /// An abortive close would discard them.
    ///
    /// Exact on Linux's TCP; elsewhere, and by default, `false`.
    fn has_unsent(&mut self) -> bool {
        false
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
}

// ===== impl Io for TcpStream =====

impl Io for TcpStream {
    fn abort(&mut self) {
        // It fails only where the socket is closed already: then there is nothing to abort.
        let _ = self.set_zero_linger();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        SockRef::from(&*self).take_error().ok().flatten()
    }

    fn has_unsent(&mut self) -> bool {
        tcp_has_unsent(self)
    }
}

/// With `TCP_NOTSENT_LOWAT` at one byte, poll(2) calls a socket writable only when everything
/// written has been sent: see tcp(7).
#[cfg(target_os = "linux")]
fn tcp_has_unsent(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    if SockRef::from(stream).set_tcp_notsent_lowat(1).is_err() {
        return false;
    }
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut fds, Some(&at_once)), Ok(0))
}

#[cfg(not(target_os = "linux"))]
fn tcp_has_unsent(_: &TcpStream) -> bool {
    false
}
