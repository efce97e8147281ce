use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, SockRef, Socket, Type};

use super::{BindError, Listen};
use crate::{
    address::{AddressError, ListenAddr},
    io::tcp,
    resolve::{LAST_ANSWER, Names, resolve},
    socket::SocketOptions,
};

/// The options of a listener; made by [`Listen::options`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BindError> {
/// use std::time::Duration;
/// use couplet_endpoint::{Listen, SocketOptions};
///
/// let listen = Listen::options()
///     .backlog(128)
///     .socket(SocketOptions::new().user_timeout(Duration::from_secs(10)))
///     .bind("127.0.0.1:0")
///     .await?;
/// assert_ne!(listen.local_addr().port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing listens until it is bound"]
pub struct ListenOptions {
    backlog: u32,
    reuse_port: bool,
    v6_only: bool,
    multipath: bool,
    socket: SocketOptions,
}

// ===== impl ListenOptions =====

impl ListenOptions {
    pub(super) const fn new() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            v6_only: false,
            multipath: false,
            socket: SocketOptions::new(),
        }
    }

    /// The number of connections that the system keeps until they are accepted. 4096 by default; the
    /// system may keep fewer (on Linux: `net.core.somaxconn`, see listen(2)).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Lets several sockets of the same user listen on one port (`SO_REUSEPORT`); each must set this.
    /// Linux spreads connections over all of them. Off by default; an error on systems without it.
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Takes no IPv4 connections on an IPv6 address (`IPV6_V6ONLY`, RFC 3493). Off by default:
    /// `[::]` and `*` take both, whatever the system's own default is.
    pub fn v6_only(mut self, v6_only: bool) -> Self {
        self.v6_only = v6_only;
        self
    }

    /// Listens for Multipath TCP (RFC 8684), too: a client that has it may use several ways at once, or one
    /// after the other; one that has only TCP is as ever. Off by default. Linux alone has it;
    /// [`bind`](Self::bind) fails where the system has it not. What it costs, see
    /// [`Dial::multipath`](crate::Dial::multipath).
    pub fn multipath(mut self, multipath: bool) -> Self {
        self.multipath = multipath;
        self
    }

    /// The options of the accepted connections. [`SocketOptions::new`] by default.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.socket = options;
        self
    }

    /// Listens on a [`SocketAddr`], a [`ListenAddr`], or a string such as `9000`, `192.0.2.1:9000` or
    /// `*:9000`.
    ///
    /// `*` is one socket for IPv6 and IPv4, and for IPv4 alone where this machine has no IPv6.
    /// A name is looked up, and all of its addresses that this machine has are listened on, with one
    /// port. `localhost`, and a port alone, are 127.0.0.1 and `::1`, without a look-up. A restarted
    /// server can listen at once on its old port, in spite of `TIME_WAIT` (`SO_REUSEADDR`).
    ///
    /// Cancel-safe: dropping the future leaves no socket listening.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn bind<A>(&self, addr: A) -> Result<Listen, BindError>
    where
        A: TryInto<ListenAddr, Error: Into<AddressError>>,
    {
        let addr = listen_addr(addr)?;
        let candidates = self.candidates(&addr).await?;
        let open = |candidate| self.open(candidate);
        let opened = match addr.host() {
            None => first_here(candidates, open).map(|listener| vec![listener]),
            Some(_) => all_here(&candidates, open),
        };
        opened
            .and_then(|listeners| Listen::new(listeners, self.socket))
            .map_err(|error| BindError::bind(&addr, error))
    }

    /// Takes sockets over that listen already: those of [`Listen::sockets`], or of another program. The
    /// clients in their accept queues are accepted here. Of the options only those of
    /// [`socket`](Self::socket) are set anew.
    ///
    /// # Errors
    ///
    /// Without a socket, and where the system refuses an option.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn adopt(&self, listeners: Vec<TcpListener>) -> io::Result<Listen> {
        if listeners.is_empty() {
            let text = "no socket to be taken over";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        for listener in &listeners {
            listener.set_nonblocking(true)?;
            let socket = SockRef::from(listener);
            self.socket.apply(&socket)?;
            // It may be one that was suspended.
            if !socket.is_listener()? {
                socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
            }
        }
        Listen::new(listeners, self.socket)
    }

    /// The addresses to try, in this order.
    async fn candidates(&self, addr: &ListenAddr) -> Result<Vec<SocketAddr>, BindError> {
        let port = addr.port();
        Ok(match addr.host() {
            None if self.v6_only => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
            None => vec![
                (Ipv6Addr::UNSPECIFIED, port).into(),
                (Ipv4Addr::UNSPECIFIED, port).into(),
            ],
            Some(host) if host.is_localhost() => vec![
                (Ipv4Addr::LOCALHOST, port).into(),
                (Ipv6Addr::LOCALHOST, port).into(),
            ],
            Some(host) => resolve(host, port, &Names::System, LAST_ANSWER)
                .await
                .map_err(|error| BindError::look_up(addr, error))?,
        })
    }

    fn open(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let protocol = tcp::protocol(self.multipath)?;
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(protocol));
        let socket = match self.multipath {
            true => socket.map_err(tcp::no_multipath)?,
            false => socket?,
        };
        // Set only where the address is IPv6: OpenBSD can't turn it off.
        if addr.is_ipv6() && (self.v6_only || addr.ip().is_unspecified()) {
            socket.set_only_v6(self.v6_only)?;
        }
        // On Windows it would let any program take the port over.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            reuse_port(&socket)?;
        }
        self.socket.apply(&SockRef::from(&socket))?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket.into())
    }
}

fn listen_addr<A>(addr: A) -> Result<ListenAddr, BindError>
where
    A: TryInto<ListenAddr, Error: Into<AddressError>>,
{
    addr.try_into()
        .map_err(|error| BindError::address(error.into()))
}

/// Opens the first address that this machine has. A port that is taken or not permitted is an error:
/// the next address would not be the one meant.
fn first_here<T>(
    candidates: Vec<SocketAddr>,
    mut open: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};

    let mut last = io::Error::from(AddrNotAvailable);
    for addr in candidates {
        match open(addr) {
            Err(error) if !matches!(error.kind(), AddrInUse | PermissionDenied) => last = error,
            done => return done,
        }
    }
    Err(last)
}

/// Opens all addresses that this machine has, with one port; for port 0 the port of the first. A port
/// that is taken or not permitted is an error.
fn all_here(
    candidates: &[SocketAddr],
    mut open: impl FnMut(SocketAddr) -> io::Result<TcpListener>,
) -> io::Result<Vec<TcpListener>> {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};

    let mut last = io::Error::from(AddrNotAvailable);
    for _ in 0..PORTS_TRIED {
        let mut opened = Vec::<TcpListener>::new();
        let mut taken = false;
        let mut seen = Vec::new();
        for candidate in candidates {
            if seen.contains(candidate) {
                continue;
            }
            seen.push(*candidate);
            let mut addr = *candidate;
            if let Some(first) = opened.first() {
                addr.set_port(first.local_addr()?.port());
            }
            match open(addr) {
                Ok(listener) => opened.push(listener),
                // Another program has the port that the system chose for the first address.
                Err(error) if error.kind() == AddrInUse && candidate.port() != addr.port() => {
                    (last, taken) = (error, true);
                    break;
                }
                Err(error) if matches!(error.kind(), AddrInUse | PermissionDenied) => {
                    return Err(error);
                }
                Err(error) => last = error,
            }
        }
        match (taken, opened.is_empty()) {
            (true, _) => {}
            (false, true) => break,
            (false, false) => return Ok(opened),
        }
    }
    Err(last)
}

/// How many ports are tried for port 0, until all addresses of a name can have the same.
const PORTS_TRIED: usize = 16;

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn reuse_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "ports can't be shared on this system",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(first: io::ErrorKind, second: io::Result<()>) -> Result<SocketAddr, io::ErrorKind> {
        let addrs = [
            (Ipv6Addr::UNSPECIFIED, 9).into(),
            (Ipv4Addr::UNSPECIFIED, 9).into(),
        ];
        let mut results = [Err(first.into()), second].into_iter();
        first_here(addrs.to_vec(), |addr| {
            results.next().unwrap().map(|()| addr)
        })
        .map_err(|error| error.kind())
    }

    #[test]
    fn without_ipv6_the_listener_is_ipv4() {
        let ipv4 = (Ipv4Addr::UNSPECIFIED, 9).into();
        assert_eq!(opened(io::ErrorKind::Unsupported, Ok(())), Ok(ipv4));
        assert_eq!(opened(io::ErrorKind::AddrNotAvailable, Ok(())), Ok(ipv4));
        let taken = io::ErrorKind::AddrInUse;
        assert_eq!(
            opened(io::ErrorKind::Unsupported, Err(taken.into())),
            Err(taken)
        );
    }

    #[test]
    fn a_taken_port_of_one_family_is_an_error() {
        for kind in [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied] {
            assert_eq!(opened(kind, Ok(())), Err(kind));
        }
    }
}
