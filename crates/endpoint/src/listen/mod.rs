//! [`Listen`]: accepts connections.

pub(crate) mod accept_error;
pub(crate) mod accept_retry;
mod error;
mod options;

pub use self::{error::BindError, options::ListenOptions};

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use socket2::SockRef;
use tracing::debug;

use self::accept_retry::AcceptRetry;
use crate::{
    accept_errors::AcceptErrors,
    address::{AddressError, ListenAddr},
    conn::{Conn, Origin, shown_client},
    endpoint::{Endpoint, LocalAddr},
    io::{TcpIo, tcp::TcpListener},
    socket::SocketOptions,
};

/// Whether an accepted socket has the options of the listening one, and need not set them again.
const INHERITED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Listens on a TCP port: the stream of the accepted connections.
///
/// The stream has no end, and outlives errors that pass: a connection that failed before it was
/// accepted is passed over, and where file descriptors or memory are used up (`EMFILE`, `ENFILE`,
/// `ENOBUFS`, `ENOMEM`) accepting is tried again every 50 ms, with one warning in the log for each
/// episode. An item that is an error means that the socket will never accept again.
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
    /// One socket, or one for each address of a name.
    sockets: Vec<Accepting>,
    /// The socket to be polled first, so that none is starved.
    next: usize,
    options: SocketOptions,
    errors: AcceptErrors,
}

#[derive(Debug)]
struct Accepting {
    listener: TcpListener,
    local: SocketAddr,
    /// Whether an accepted socket has the options already, and need not set them again.
    inherited: bool,
    retry: AcceptRetry,
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

    /// Options, to be set before [`bind`](ListenOptions::bind).
    pub const fn options() -> ListenOptions {
        ListenOptions::new()
    }

    /// The address listened on, with the real port; the first where there are several.
    pub fn local_addr(&self) -> SocketAddr {
        self.sockets[0].local
    }

    /// The addresses listened on: one, or those of a name. All have the same port.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|socket| socket.local)
    }

    /// The listening sockets, duplicated: they share the accept queue, and keep it when this listener is
    /// dropped. [`ListenOptions::adopt`] makes a listener of them again, here or in another process.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    #[cfg(unix)]
    pub fn sockets(&self) -> io::Result<Vec<std::net::TcpListener>> {
        use std::os::fd::AsFd;

        let sockets = self.sockets.iter();
        let duplicate = |socket: &Accepting| socket.listener.as_fd().try_clone_to_owned();
        sockets
            .map(|socket| duplicate(socket).map(Into::into))
            .collect()
    }

    /// Refuses clients (`ECONNREFUSED`) until it [listens again](Self::resume), and keeps the port, unless the
    /// system has chosen that: it may choose another. Clients in
    /// the accept queue are reset. Whichever process shares a socket refuses, too. Polled meanwhile, it yields
    /// an error.
    ///
    /// # Errors
    ///
    /// Where the system refuses it. Only Linux shuts a listening socket down so that it can listen again.
    #[cfg(target_os = "linux")]
    pub fn suspend(&mut self) -> io::Result<()> {
        let mut sockets = self.sockets.iter();
        sockets.try_for_each(|socket| {
            SockRef::from(&socket.listener).shutdown(std::net::Shutdown::Both)
        })
    }

    /// Listens again after [`suspend`](Self::suspend), with the default [backlog](ListenOptions::backlog).
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`), and where another program has the port by now (`EADDRINUSE`): it may be
    /// called again.
    #[cfg(target_os = "linux")]
    pub fn resume(&mut self) -> io::Result<()> {
        // Registered anew: the runtime holds the sockets that were shut down for closed.
        let listeners = self.sockets()?;
        self.sockets = Self::options()
            .socket(self.options)
            .adopt(listeners)?
            .sockets;
        self.count_errors();
        Ok(())
    }

    /// There must be at least one listener.
    fn new(listeners: Vec<std::net::TcpListener>, options: SocketOptions) -> io::Result<Self> {
        let sockets: io::Result<Vec<_>> = listeners.into_iter().map(Accepting::new).collect();
        let mut listen = Self {
            sockets: sockets?,
            next: 0,
            options,
            errors: AcceptErrors::default(),
        };
        listen.count_errors();
        Ok(listen)
    }

    /// All sockets count together.
    fn count_errors(&mut self) {
        for socket in &mut self.sockets {
            socket.retry.errors = self.errors.clone();
        }
    }
}

// ===== impl Accepting =====

impl Accepting {
    fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self {
            local: listener.local_addr()?,
            inherited: INHERITED && !is_multipath(&listener),
            listener: TcpListener::from_std(listener)?,
            retry: AcceptRetry::default(),
        })
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        options: &SocketOptions,
    ) -> Poll<io::Result<Conn<TcpIo>>> {
        let accept = |cx: &mut Context<'_>| {
            let (io, peer) = ready!(self.listener.poll_accept(cx))?;
            if !self.inherited
                && let Err(error) = options.apply(&SockRef::from(&io))
            {
                // The listening socket took the same options, so the client must have gone.
                debug!(peer = %shown_client(peer), %error, "an accepted connection took no options");
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Poll::Ready(Ok((io, peer)))
        };
        let accepted = ready!(self.retry.poll(cx, &self.local, accept));
        Poll::Ready(accepted.map(|(io, peer)| {
            let mut conn = self.conn(io, peer);
            options.mark(&mut conn.info);
            conn
        }))
    }

    fn conn(&self, io: TcpIo, peer: SocketAddr) -> Conn<TcpIo> {
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
    type Item = io::Result<Conn<TcpIo>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let count = this.sockets.len();
        for turn in this.next..this.next + count {
            let socket = &mut this.sockets[turn % count];
            if let Poll::Ready(accepted) = socket.poll_accept(cx, &this.options) {
                this.next = (turn + 1) % count;
                return Poll::Ready(Some(accepted));
            }
        }
        Poll::Pending
    }
}

impl Endpoint for Listen {
    type Io = TcpIo;
    type Error = io::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        Some(Self::local_addr(self).into())
    }

    fn accept_errors(&self) -> Option<AcceptErrors> {
        Some(self.errors.clone())
    }
}

/// A listener of Multipath TCP lacks options that its connections of TCP alone have.
#[cfg(target_os = "linux")]
fn is_multipath(listener: &std::net::TcpListener) -> bool {
    let protocol = SockRef::from(listener).protocol();
    matches!(protocol, Ok(Some(socket2::Protocol::MPTCP)))
}

#[cfg(not(target_os = "linux"))]
fn is_multipath(_: &std::net::TcpListener) -> bool {
    false
}

/// The IPv4 address of an IPv4-mapped IPv6 one (RFC 4291, section 2.5.5.2).
fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, addr.port()),
        _ => addr,
    }
}
