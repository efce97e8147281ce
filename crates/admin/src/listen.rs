//! The address and the listener of an admin endpoint.

#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

#[cfg(unix)]
use couplet_connector::endpoint::{UnixAddr, UnixListen, UnixListenSocket};
use couplet_connector::{BoxError, endpoint::PeerNetwork};
#[cfg(unix)]
use futures::TryStreamExt;
use thiserror::Error;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpListener, TcpStream};

/// The address of an admin endpoint: `unix:/run/couplet/admin.sock`, `127.0.0.1:9180`, `[::1]:9180`, or a
/// bare port, which is loopback's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminAddr {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    #[cfg(unix)]
    Unix(PathBuf),
}

/// The error of a text that is not an [`AdminAddr`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not an admin address: `unix:/PATH`, `IP:PORT`, or a port of this machine")]
pub struct AdminAddrError(String);

/// An admin address could not be listened on.
#[derive(Debug, Error)]
#[error("admin address {addr} not listened on")]
pub struct BindAdminError {
    addr: String,
    source: BoxError,
}

/// A socket for a [`Server`](crate::Server).
///
/// A Unix socket is open to its owner alone (0600) from the moment it is there, and is removed when it is
/// dropped. A socket that another process left behind is replaced; one that a process answers on is an
/// error (`EADDRINUSE`).
#[derive(Debug)]
pub struct AdminListener(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListen),
}

/// A listening socket of an admin endpoint, which outlives its listener, to be adopted here or in another
/// process.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminSocket {
    /// A TCP socket.
    Tcp(std::net::TcpListener),
    /// A Unix socket, and its path.
    #[cfg(unix)]
    Unix(UnixListenSocket),
}

/// A connection to an admin endpoint.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

// ===== impl Accepted =====

impl Accepted {
    /// Where the client comes from. Those of a Unix socket are the owner's alone.
    pub(crate) fn network(&self) -> Option<PeerNetwork> {
        match self {
            Self::Tcp(io) => Some(PeerNetwork::of(Some(io.peer_addr().ok()?.ip()))),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

// ===== impl AdminAddr =====

impl AdminAddr {
    /// Whether only this machine can reach the address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(addr) => addr.ip().is_loopback(),
            #[cfg(unix)]
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for AdminAddr {
    type Err = AdminAddrError;

    fn from_str(text: &str) -> Result<Self, AdminAddrError> {
        let wrong = || AdminAddrError(text.to_owned());
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(wrong()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let addr = match (text.parse::<u16>(), text.strip_prefix("localhost:")) {
            (Ok(port), _) => local(port),
            (_, Some(port)) => local(port.parse().map_err(|_| wrong())?),
            _ => text.parse().map_err(|_| wrong())?,
        };
        Ok(Self::Tcp(addr))
    }
}

impl fmt::Display for AdminAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// ===== impl AdminListener =====

impl AdminListener {
    /// Listens on this address.
    ///
    /// # Errors
    ///
    /// Where the system says no: the address is in use, or not of this machine; the folder of a Unix socket
    /// is missing or not writable.
    pub async fn bind(addr: &AdminAddr) -> Result<Self, BindAdminError> {
        let bound = match addr {
            AdminAddr::Tcp(addr) => TcpListener::bind(addr)
                .await
                .map(Kind::Tcp)
                .map_err(BoxError::from),
            #[cfg(unix)]
            AdminAddr::Unix(path) => bind_unix(path).await,
        };
        bound.map(Self).map_err(|source| BindAdminError {
            addr: addr.to_string(),
            source,
        })
    }

    /// The address, with the real port.
    pub fn local_addr(&self) -> Option<AdminAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok().map(AdminAddr::Tcp),
            #[cfg(unix)]
            Kind::Unix(listen) => Some(AdminAddr::Unix(listen.addr().as_path()?.to_owned())),
        }
    }

    /// The socket, duplicated: it shares the accept queue, and keeps it and the path when this listener is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    #[cfg(unix)]
    pub fn socket(&self) -> io::Result<AdminSocket> {
        use std::os::fd::AsFd;

        Ok(match &self.0 {
            Kind::Tcp(listener) => AdminSocket::Tcp(listener.as_fd().try_clone_to_owned()?.into()),
            Kind::Unix(listen) => AdminSocket::Unix(listen.socket()?),
        })
    }

    /// Takes a socket over that listens already.
    ///
    /// # Errors
    ///
    /// Where the system refuses it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn adopt(socket: AdminSocket) -> io::Result<Self> {
        Ok(Self(match socket {
            AdminSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Kind::Tcp(TcpListener::from_std(listener)?)
            }
            #[cfg(unix)]
            AdminSocket::Unix(socket) => Kind::Unix(UnixListen::options().adopt(socket)?),
        }))
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Accepted> {
        match &mut self.0 {
            Kind::Tcp(listener) => Ok(Accepted::Tcp(listener.accept().await?.0)),
            #[cfg(unix)]
            Kind::Unix(listen) => {
                let conn = listen.try_next().await?;
                Ok(Accepted::Unix(conn.expect("a listener has no end").io))
            }
        }
    }
}

#[cfg(unix)]
async fn bind_unix(path: &Path) -> Result<Kind, BoxError> {
    let addr = UnixAddr::path(path)?;
    let listen = UnixListen::options().mode(0o600).bind(addr).await?;
    Ok(Kind::Unix(listen))
}

#[cfg(test)]
mod tests {
    use couplet_connector::endpoint::BindError;

    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, expected, local) in [
            ("9180", "127.0.0.1:9180", true),
            ("localhost:9180", "127.0.0.1:9180", true),
            ("[::1]:9180", "[::1]:9180", true),
            ("0.0.0.0:9180", "0.0.0.0:9180", false),
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
        ] {
            let addr: AdminAddr = text.parse().unwrap();
            assert_eq!(
                (addr.to_string().as_str(), addr.is_local()),
                (expected, local)
            );
        }
        for wrong in [
            "",
            "unix:",
            "a:1",
            "1.2.3.4",
            "99999",
            "/run/a.sock",
            "*:9180",
        ] {
            let error = wrong.parse::<AdminAddr>().unwrap_err();
            assert!(
                error.to_string().contains("is not an admin address"),
                "{wrong}"
            );
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_socket_is_its_owners_and_is_replaced_when_nobody_answers() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let addr = AdminAddr::Unix(path.clone());
        let first = AdminListener::bind(&addr).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = AdminListener::bind(&addr).await.unwrap_err();
        let second = second.source.downcast::<BindError>().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists(), "the socket is removed");
        // One that was left behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _third = AdminListener::bind(&addr).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1);
        // A file is not.
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        AdminListener::bind(&AdminAddr::Unix(file.clone()))
            .await
            .unwrap_err();
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
    }
}
