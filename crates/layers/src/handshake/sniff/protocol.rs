use std::{fmt, iter, net::IpAddr};

use couplet_endpoint::HostName;

use super::client_hello::Reader;

/// What a connection's first bytes are: put into the extensions of
/// [`Info`](couplet_endpoint::Info) by [`Sniff`](super::Sniff).
///
/// Shown, it is `tls:example.org`, `tls`, `ssh`, `http:example.org`, `http`, `http2`, `silent` or
/// `unknown`; what it shows of a peer's making is free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// A TLS ClientHello.
    Tls(ClientHello),
    /// The identification of an SSH client.
    Ssh,
    /// A request of HTTP/1.
    Http1 {
        /// The host it asks for, without the port: see [`Protocol::host`].
        host: Option<Box<str>>,
    },
    /// HTTP/2 without TLS, known by its preface.
    Http2,
    /// Nothing came in time, or before the stream ended.
    Silent,
    /// Something else; or what was not complete in time, before the stream ended or within 16 KiB.
    Unknown,
}

/// What a client of TLS asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    pub(super) server_name: Option<Box<str>>,
    /// As it came, each behind its length: many short names cost no more than their bytes.
    pub(super) alpn: Box<[u8]>,
}

// ===== impl Protocol =====

impl Protocol {
    /// The host that the client asks for, where it says one: the server name of TLS, the host of
    /// HTTP/1. A name is in lower case and has no dot at its end.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tls(hello) => hello.server_name(),
            Self::Http1 { host } => host.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls(_) => "tls",
            Self::Ssh => "ssh",
            Self::Http1 { .. } => "http",
            Self::Http2 => "http2",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        })?;
        match self.host() {
            Some(host) => write!(f, ":{host}"),
            None => Ok(()),
        }
    }
}

// ===== impl ClientHello =====

impl ClientHello {
    /// The name of the server it wants to speak with (SNI, RFC 6066), in lower case and without a
    /// dot at its end.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocols it could speak above TLS (ALPN, RFC 7301), the one it likes best first.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut protocols = Reader(&self.alpn);
        iter::from_fn(move || protocols.u8_prefixed().map(|protocol| protocol.0))
    }
}

/// A host as it is compared: a name in lower case without the dot at its end, or an address.
pub(super) fn host(bytes: &[u8]) -> Option<Box<str>> {
    let name = str::from_utf8(bytes).ok()?;
    let literal = name.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    if let Ok(ip) = literal.unwrap_or(name).parse::<IpAddr>() {
        return Some(ip.to_string().into());
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    HostName::new(&*name).ok()?;
    Some(name.into())
}
