use std::{fmt, net::SocketAddr};

use futures::Stream;

use crate::{
    accept_errors::AcceptErrors,
    address::{UnixAddr, VsockAddr},
    conn::Conn,
    error::BoxError,
    io::Io,
};

/// A side of a relay: a stream of connections, accepted or dialled.
///
/// [`Listen`](crate::Listen), [`memory::Listen`](crate::memory::Listen) and the streams of a dial are
/// endpoints. Implement the trait for any other source of connections: a listener of another
/// transport, sockets handed over by a supervisor.
///
/// An item that is an error ends the relay. An accept that failed but may succeed again is for the
/// implementation to repeat.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no endpoint",
    label = "no stream of `Result<Conn<_>, _>`",
    note = "an endpoint is a listener (`Listen::bind(…).await?`) or a stream of dialled connections (`once`, `repeat` \
            and `pool` of a `Dial`)",
    note = "a future is none: is an `.await` missing, or the `?` behind it? A `Dial` alone goes where a side is dialled"
)]
pub trait Endpoint: Stream<Item = Result<Conn<Self::Io>, Self::Error>> + Send + 'static {
    /// The io of the connections.
    type Io: Io;

    /// Why no more connections can come.
    type Error: Into<BoxError>;

    /// The address listened on, with the real port; `None` where there is none.
    fn local_addr(&self) -> Option<LocalAddr> {
        None
    }

    /// The count of accepts that failed; `None` where nothing is accepted.
    fn accept_errors(&self) -> Option<AcceptErrors> {
        None
    }
}

/// Where a side listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalAddr {
    /// On a TCP port.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(UnixAddr),
    /// On a port of vsock.
    Vsock(VsockAddr),
    /// On a port of UDP, for QUIC.
    Quic(SocketAddr),
}

// ===== impl LocalAddr =====

impl LocalAddr {
    /// The address, where it is TCP's.
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            _ => None,
        }
    }

    /// The name, where it is a Unix socket's.
    pub const fn unix(&self) -> Option<&UnixAddr> {
        match self {
            Self::Unix(addr) => Some(addr),
            _ => None,
        }
    }
}

impl From<SocketAddr> for LocalAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<UnixAddr> for LocalAddr {
    fn from(addr: UnixAddr) -> Self {
        Self::Unix(addr)
    }
}

impl From<VsockAddr> for LocalAddr {
    fn from(addr: VsockAddr) -> Self {
        Self::Vsock(addr)
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
            Self::Vsock(addr) => addr.fmt(f),
            Self::Quic(addr) => write!(f, "quic:{addr}"),
        }
    }
}
