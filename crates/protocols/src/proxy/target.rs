use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use couplet_endpoint::{ConnEvent, DialAddr, Host, HostName, Info};
use thiserror::Error;

/// The target that a client of a proxy has asked for, in the [`Info`] of the client's connection.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
#[display("{_0}")]
pub struct RequestedTarget(Arc<DialAddr>);

/// A client of a proxy asked for a target that can't be dialled. `Display` escapes what the client said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// The host is neither a name nor an address.
    #[error("invalid host of a target: {0}")]
    Host(String),
    /// The port is 0, or none.
    #[error("invalid port of a target: a number from 1 to 65535 is right")]
    Port,
}

// ===== impl RequestedTarget =====

impl RequestedTarget {
    /// The target that the client of this connection has asked for.
    pub fn of(info: &Info) -> Option<&Self> {
        info.extensions.get()
    }

    /// The address to dial. An IP address that was sent as a name is an IP address here.
    pub fn addr(&self) -> &DialAddr {
        &self.0
    }

    /// Puts the target into a connection's [`Info`], and tells the connection's
    /// [observers](couplet_endpoint::ConnObserver).
    pub fn put_into(self, info: &mut Info) {
        info.has_spoken = true;
        info.extensions.insert(self);
        info.tell(ConnEvent::Learned);
    }

    /// A host, by name or address, and a port.
    pub(crate) fn new(host: impl Into<Host>, port: u16) -> Result<Self, InvalidTarget> {
        match port {
            0 => Err(InvalidTarget::Port),
            _ => Ok(Self(Arc::new(DialAddr::new(host, port)))),
        }
    }

    /// A host as a client writes it in place of a name, and a port. An IP address is parsed as one, in
    /// brackets or without, so that no rule for addresses is passed by as a name.
    pub(crate) fn named(host: &[u8], port: u16) -> Result<Self, InvalidTarget> {
        Self::new(parse_host(host)?, port)
    }
}

impl From<DialAddr> for RequestedTarget {
    fn from(addr: DialAddr) -> Self {
        Self(Arc::new(addr))
    }
}

fn parse_host(text: &[u8]) -> Result<Host, InvalidTarget> {
    let invalid = || InvalidTarget::Host(text.escape_ascii().to_string());
    let host = str::from_utf8(text).map_err(|_| invalid())?;
    if let Some(inner) = host.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|ip| ip.parse().ok());
        return ip
            .map(|ip: Ipv6Addr| IpAddr::from(ip).into())
            .ok_or_else(invalid);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    // The C library takes `0x7f000001` for an address, and other resolvers for a name.
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("0x"))
        && last[2..].bytes().all(|byte| byte.is_ascii_hexdigit());
    match HostName::new(host) {
        Ok(name) if !is_number => Ok(name.into()),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for (said, expected) in [
            ("127.0.0.9", "127.0.0.9:80"),
            ("2001:db8::5", "[2001:db8::5]:80"),
            ("[2001:db8::5]", "[2001:db8::5]:80"),
            ("[::FFFF:10.0.0.1]", "[::ffff:10.0.0.1]:80"),
            ("::1", "[::1]:80"),
        ] {
            let target = RequestedTarget::named(said.as_bytes(), 80).unwrap();
            assert!(matches!(target.addr().host(), Host::Ip(_)), "{said}");
            assert_eq!(target.to_string(), expected);
        }
        for said in [
            "example.org",
            "example.org.",
            "localhost",
            "a_b.c",
            "0xyz",
            "x.0xa.b",
        ] {
            let target = RequestedTarget::named(said.as_bytes(), 80).unwrap();
            assert!(matches!(target.addr().host(), Host::Name(_)), "{said}");
        }
    }

    #[test]
    fn what_resolvers_disagree_on_is_invalid() {
        for said in [
            &b""[..],
            b".",
            b"127.1",
            b"2130706433",
            b"0x7f000001",
            b"0X7F.1",
            b"1.0x",
            b"127.0.0.1.",
            b"010.0.0.1",
            b"[127.0.0.1]",
            b"[example.org]",
            b"[::1",
            b"::1]",
            b"[fe80::1%1]",
            b"a b",
            b"a\0b",
            b"a\r\nb",
            b"-a",
            b"a..b",
            b"\xff",
            "b\u{fc}cher".as_bytes(),
            &[b'a'; 64],
            b"*",
        ] {
            let error = RequestedTarget::named(said, 80).unwrap_err();
            assert!(
                !error.to_string().contains(|c: char| c.is_control()),
                "{said:?}"
            );
        }
        assert_eq!(RequestedTarget::named(b"a", 0), Err(InvalidTarget::Port));
    }
}
