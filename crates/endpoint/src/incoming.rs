use std::{io, net::SocketAddr};

use futures::Stream;

use crate::{conn::Conn, io::Io};

/// An endpoint that others connect to: a stream of connections, and where it listens.
///
/// [`Listen`](crate::Listen) and [`memory::Listen`](crate::memory::Listen) are such; implement it
/// for whatever else can accept (a listener of another transport, sockets handed over by a
/// supervisor).
///
/// An item that is an error ends the relay: an accept that failed but may succeed again is the
/// implementation's own business.
pub trait Incoming: Stream<Item = io::Result<Conn<Self::Io>>> + Send + Unpin + 'static {
    /// What the connections' bytes go through.
    type Io: Io;

    /// The address it listens on, with the real port, where it has one.
    fn local_addr(&self) -> Option<SocketAddr>;
}
