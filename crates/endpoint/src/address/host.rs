use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
};

use super::{AddressError, parse};

/// A machine, by its name or its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Host {
    /// A name that is looked up.
    Name(HostName),
    /// An address.
    Ip(IpAddr),
    /// An IPv6 address with a zone (RFC 4007): the number of the interface, as in `[fe80::1%3]`. A name,
    /// as in `[fe80::1%eth0]`, is read as the number that it has then.
    Scoped(Ipv6Addr, NonZeroU32),
}

/// A host's name (RFC 1123): letters, digits and hyphens, in labels of up to 63 that are
/// separated by dots, up to 253 in all. Underscores are tolerated, and so is a dot at the end, which
/// makes the name absolute.
///
/// A text that looks like an IPv4 address and is none (`10.0.0`, `300.1.1.1`) is not a name, because
/// resolvers disagree on its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

// ===== impl Host =====

impl Host {
    /// Whether this is the name `localhost`, which means the loopback addresses, whatever a resolver
    /// says (RFC 6761, section 6.3).
    pub(crate) fn is_localhost(&self) -> bool {
        let Self::Name(name) = self else {
            return false;
        };
        let name = name.as_str();
        name.strip_suffix('.')
            .unwrap_or(name)
            .eq_ignore_ascii_case("localhost")
    }

    /// An IPv6 address on the interface of this number; 0 is no interface in particular.
    pub(super) fn ipv6(ip: Ipv6Addr, scope: u32) -> Self {
        match NonZeroU32::new(scope) {
            Some(scope) => Self::Scoped(ip, scope),
            None => Self::Ip(ip.into()),
        }
    }
}

/// The flow information of an IPv6 address is left out.
impl From<SocketAddr> for Host {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(v4) => Self::Ip((*v4.ip()).into()),
            SocketAddr::V6(v6) => Self::ipv6(*v6.ip(), v6.scope_id()),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<HostName> for Host {
    fn from(name: HostName) -> Self {
        Self::Name(name)
    }
}

/// Writes the host as in an address: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Scoped(ip, scope) => write!(f, "[{ip}%{scope}]"),
        }
    }
}

// ===== impl HostName =====

impl HostName {
    /// Makes a name of a text.
    ///
    /// # Errors
    ///
    /// [`AddressError`] where the text is not a host's name, or is an IP address.
    pub fn new(name: impl Into<String>) -> Result<Self, AddressError> {
        let name = name.into();
        parse::host_name(&name)?;
        Ok(Self(name))
    }

    /// A name that has been checked.
    pub(super) fn checked(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
