use std::{convert::Infallible, fmt, net::SocketAddr, str::FromStr};

use super::{AddressError, Host, HostName, parse};

/// Where to listen: `[HOST:]PORT`.
///
/// The host is an address of this machine, or a name for some. The default is `localhost`, the
/// loopback addresses 127.0.0.1 and `::1`, which other machines can't reach; `*` is every address of
/// this machine. Port 0 is any free port.
///
/// Made from a string, from a [`SocketAddr`], or by a constructor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddr {
    host: Option<Host>,
    port: u16,
}

// ===== impl ListenAddr =====

impl ListenAddr {
    /// A port of one of this machine's addresses.
    pub fn new(host: impl Into<Host>, port: u16) -> Self {
        Self {
            host: Some(host.into()),
            port,
        }
    }

    /// A port of `localhost` (127.0.0.1 and `::1`), for this machine alone: the meaning of a bare port.
    pub fn loopback(port: u16) -> Self {
        Self::new(HostName::checked("localhost"), port)
    }

    /// A port of every address of this machine, over IPv6 and IPv4: `*:PORT`.
    pub const fn everywhere(port: u16) -> Self {
        Self { host: None, port }
    }

    /// The host; `None` is every address of this machine.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port; 0 is any free port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ListenAddr {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        parse::listen(input)
    }
}

impl TryFrom<&str> for ListenAddr {
    type Error = AddressError;

    fn try_from(input: &str) -> Result<Self, AddressError> {
        input.parse()
    }
}

impl TryFrom<String> for ListenAddr {
    type Error = AddressError;

    fn try_from(input: String) -> Result<Self, AddressError> {
        input.parse()
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr, addr.port())
    }
}

/// Lets a type that always is an address stand where a text may fail to be one.
impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, "*:{}", self.port),
        }
    }
}
