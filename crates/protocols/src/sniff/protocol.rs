use std::{fmt, iter, net::IpAddr};

use couplet_endpoint::HostName;

use super::reader::Reader;

/// The protocol of a connection's first bytes. [`Sniff`](super::Sniff) puts it into the extensions of
/// [`Info`](couplet_endpoint::Info).
///
/// `Display` is `tls:example.org`, `tls`, `ssh`, `http:example.org`, `http`, `http2`, `silent` or
/// `unknown`, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// A TLS ClientHello.
    Tls(ClientHello),
    /// The identification of an SSH client.
    Ssh,
    /// An HTTP/1 request.
    Http1 {
        /// The requested host, without the port: see [`Protocol::host`].
        host: Option<Box<str>>,
    },
    /// The preface of HTTP/2 without TLS.
    Http2,
    /// No byte in time, or before the stream ended.
    Silent,
    /// Something else; or bytes that were not complete in time, before the stream ended or within
    /// 16 KiB.
    Unknown,
}

/// The server name and the protocols that a TLS client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    pub(super) server_name: Option<Box<str>>,
    /// As on the wire, each behind its length: many short names cost no more than their bytes.
    pub(super) alpn: Box<[u8]>,
}

// ===== impl Protocol =====

impl Protocol {
    /// The host that the client asks for: the server name (SNI) of TLS, the host of HTTP/1. A name is in
    /// lower case, without a dot at the end. `None` where there is none, or one that is no host name.
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
    /// The server name (SNI, RFC 6066), in lower case and without a dot at the end. `None` where the
    /// client sends none, or one that is no host name, such as one with a port.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The application protocols that the client offers (ALPN, RFC 7301), the best first.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut protocols = Reader(&self.alpn);
        iter::from_fn(move || protocols.u8_prefixed().map(|protocol| protocol.0))
    }
}

/// A host in the form in which hosts are compared: a name in lower case without the dot at the end, or
/// an address.
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
