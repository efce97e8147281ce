//! [`Listen`]: others connect to us.

mod error;
mod options;
mod patience;
mod trouble;

pub use self::{error::BindError, options::ListenOptions};

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use self::patience::Patience;
use crate::{
    address::{AddressError, ListenAddr},
    conn::{Conn, Origin},
    endpoint::Endpoint,
    socket::SocketOptions,
};

/// Does an accepted socket have the options of the listening one? Then they need not be set for
/// each.
const INHERITED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Listens on a TCP port: the stream of the connections that others make to it.
///
/// The stream has no end, and outlives trouble that passes: a connection that failed before it
/// was accepted is passed over, and where there are no file descriptors or no memory left it
/// tries again every 50 ms, with one warning in the log for each such time. An item that is an
/// error means that the socket will never accept again.
///
/// Clients stay in the kernel's queue until the stream is polled: see
/// [`backlog`](ListenOptions::backlog). When it is dropped, it stops listening, and clients in the
/// queue are reset.
///
/// [`Info::peer`](crate::Info::peer) is the client. An IPv4 client that came through an IPv6
/// socket has its IPv4 address there, not the mapped one, and so has
/// [`Info::local`](crate::Info::local).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::Listen;
/// use futures::TryStreamExt;
///
/// let mut listen = Listen::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listen.local_addr()).await?;
/// let conn = listen.try_next().await?.expect("it has no end");
/// assert_eq!(conn.info.peer, Some(client.local_addr()?));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listen {
    listener: TcpListener,
    local: SocketAddr,
    for_each: Option<SocketOptions>,
    patience: Patience,
}

// ===== impl Listen =====

impl Listen {
    /// Listens with the default [`options`](Self::options).
    ///
    /// # Errors
    ///
    /// As [`ListenOptions::bind`], which says more.
    pub async fn bind<A>(addr: A) -> Result<Self, BindError>
    where
        A: TryInto<ListenAddr, Error: Into<AddressError>>,
    {
        Self::options().bind(addr).await
    }

    /// To listen in another way.
    pub const fn options() -> ListenOptions {
        ListenOptions::new()
    }

    /// The address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn new(listener: std::net::TcpListener, options: SocketOptions) -> io::Result<Self> {
        Ok(Self {
            local: listener.local_addr()?,
            listener: TcpListener::from_std(listener)?,
            for_each: (!INHERITED).then_some(options),
            patience: Patience::default(),
        })
    }

    fn conn(&self, io: TcpStream, peer: SocketAddr) -> Conn<TcpStream> {
        let local = if self.local.ip().is_unspecified() {
            io.local_addr().ok()
        } else {
            Some(self.local)
        };
        let mut conn = Conn::new(io, Origin::Accepted);
        conn.info.peer = Some(unmapped(peer));
        conn.info.local = local.map(unmapped);
        conn
    }
}

impl Stream for Listen {
    type Item = io::Result<Conn<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let accept = |cx: &mut Context<'_>| {
            let (io, peer) = ready!(this.listener.poll_accept(cx))?;
            if let Some(options) = &this.for_each
                && let Err(error) = options.apply(&SockRef::from(&io))
            {
                // The listening socket took the same options: it is the client that has gone.
                debug!(%peer, %error, "an accepted connection took no options");
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Poll::Ready(Ok((io, peer)))
        };
        let accepted = ready!(this.patience.poll(cx, this.local, accept));
        Poll::Ready(Some(accepted.map(|(io, peer)| self.conn(io, peer))))
    }
}

impl Endpoint for Listen {
    type Io = TcpStream;
    type Error = io::Error;

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }
}

/// The IPv4 address, where that is what an IPv6 one stands for (RFC 4291, section 2.5.5.2).
fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, addr.port()),
        _ => addr,
    }
}
