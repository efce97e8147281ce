use std::{fmt, net::SocketAddr, str::FromStr};

use super::{AddressError, Host, parse};

/// Where to connect: `HOST:PORT`.
///
/// Made from a string, from a [`SocketAddr`], or from its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialAddr {
    host: Host,
    port: u16,
}

// ===== impl DialAddr =====

impl DialAddr {
    /// A port of a host. Port 0 can't be dialled: parsing refuses it, and connecting fails.
    pub fn new(host: impl Into<Host>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for DialAddr {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        parse::dial(input)
    }
}

impl From<SocketAddr> for DialAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr, addr.port())
    }
}

impl fmt::Display for DialAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
