use std::net::SocketAddr;

use futures::Stream;

use crate::{conn::Conn, error::BoxError, io::Io};

/// A side of a relay: a stream of connections, accepted or dialled.
///
/// [`Listen`](crate::Listen), [`memory::Listen`](crate::memory::Listen) and the streams of a dial are
/// endpoints. Implement the trait for any other source of connections: a listener of another
/// transport, sockets handed over by a supervisor.
///
/// An item that is an error ends the relay. An accept that failed but may succeed again is for the
/// implementation to repeat.
pub trait Endpoint: Stream<Item = Result<Conn<Self::Io>, Self::Error>> + Send + 'static {
    /// The io of the connections.
    type Io: Io;

    /// Why no more connections can come.
    type Error: Into<BoxError>;

    /// The address listened on, with the real port; `None` where there is none.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}
