use std::net::SocketAddr;

use futures::Stream;

use crate::{conn::Conn, error::BoxError, io::Io};

/// A side of a relay: a stream of connections, whichever way round they come.
///
/// [`Listen`](crate::Listen) and the streams of a dial are such, and so is
/// [`memory::Listen`](crate::memory::Listen); implement it for whatever else brings connections (a
/// listener of another transport, sockets handed over by a supervisor).
///
/// An item that is an error ends the relay: an accept that failed but may succeed again is the
/// implementation's own business.
pub trait Endpoint: Stream<Item = Result<Conn<Self::Io>, Self::Error>> + Send + 'static {
    /// What the connections' bytes go through.
    type Io: Io;

    /// Why no more connections can come.
    type Error: Into<BoxError>;

    /// The address it listens on, with the real port, where it has one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}
