//! Which clients a route is for: `tls:*.example.org alpn=h2 from=192.0.2.0/24`.

use std::net::IpAddr;

use couplet_connector::{endpoint::Info, layers::Networks};
use couplet_protocols::Protocol;

use super::hosts::Hosts;
use crate::{mistake::Mistake, networks::networks};

/// What a client speaks, and the conditions that hold for its connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    speaks: Speaks,
    alpn: Option<Box<[u8]>>,
    from: Option<Networks>,
    to: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq)]
enum Speaks {
    Anything,
    This(Kind, Hosts),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Tls,
    Http,
    Http2,
    Ssh,
    Silent,
    Unknown,
}

pub(super) const PATTERNS: &[&str] = &[
    "tls",
    "tls:HOST",
    "tls:*.HOST",
    "http",
    "http:HOST",
    "http:*.HOST",
    "http2",
    "ssh",
    "silent",
    "unknown",
    "*",
];

const CONDITIONS: &[&str] = &["alpn=PROTOCOL", "from=NETWORK", "to=ADDRESS"];

// ===== impl Pattern =====

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        Ok(Self {
            speaks: Speaks::parse(text)?,
            alpn: None,
            from: None,
            to: None,
        })
    }

    /// Adds a condition.
    pub(super) fn narrow(&mut self, condition: &str) -> Result<(), Mistake> {
        let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
        let is_new = match name {
            _ if value.is_empty() => {
                let message = format!("`{condition}` is not a condition");
                return Err(Mistake::unknown(message, name, CONDITIONS));
            }
            "alpn" => {
                if !matches!(self.speaks, Speaks::This(Kind::Tls, _)) {
                    let message = "a client that speaks no TLS offers no `alpn`";
                    return Err(Mistake::new(message, "`tls` or `tls:HOST` before it"));
                }
                self.alpn.replace(value.as_bytes().into()).is_none()
            }
            "from" => self.from.replace(networks(value)?).is_none(),
            "to" => {
                let ip = value.parse::<IpAddr>().map_err(|_| {
                    let message = format!("`{value}` is not an address");
                    Mistake::new(message, "an address of this machine, as `192.0.2.1`")
                })?;
                self.to.replace(ip.to_canonical()).is_none()
            }
            _ => {
                let message = format!("`{name}` is not a condition");
                return Err(Mistake::unknown(message, name, CONDITIONS));
            }
        };
        match is_new {
            true => Ok(()),
            false => Err(Mistake::new(
                format!("`{name}` is there twice"),
                "one of them, or another line",
            )),
        }
    }

    pub(super) fn fits(&self, client: &Info) -> bool {
        let protocol = client.extensions.get().unwrap_or(&Protocol::Unknown);
        let alpn = |wanted: &[u8]| match protocol {
            Protocol::Tls(hello) => hello.alpn().any(|offered| offered == wanted),
            _ => false,
        };
        let to = |wanted| {
            let local = client.local.map(|local| local.ip().to_canonical());
            local == Some(wanted)
        };
        self.speaks.fits(protocol)
            && self.alpn.as_deref().is_none_or(alpn)
            && self.from.as_ref().is_none_or(|from| from.contain(client))
            && self.to.is_none_or(to)
    }

    /// Is all that fits the other caught by this one?
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.speaks.covers(&other.speaks)
            && covers(&self.alpn, &other.alpn)
            && covers(&self.from, &other.from)
            && covers(&self.to, &other.to)
    }
}

fn covers<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    one.is_none() || one == other
}

// ===== impl Speaks =====

impl Speaks {
    fn parse(text: &str) -> Result<Self, Mistake> {
        if text == "*" {
            return Ok(Self::Anything);
        }
        let (name, host) = match text.split_once(':') {
            Some((name, host)) => (name, Some(host)),
            None => (text, None),
        };
        let kind = match name {
            "tls" => Kind::Tls,
            "http" => Kind::Http,
            "http2" => Kind::Http2,
            "ssh" => Kind::Ssh,
            "silent" => Kind::Silent,
            "unknown" => Kind::Unknown,
            _ => {
                let message = format!("`{text}` is not a pattern");
                return Err(Mistake::unknown(message, name, PATTERNS));
            }
        };
        let hosts = match host {
            None => Hosts::All,
            Some(_) if !matches!(kind, Kind::Tls | Kind::Http) => {
                let message = format!("a client that speaks `{name}` names no host");
                return Err(Mistake::new(message, format!("`{name}` alone")));
            }
            Some(host) => Hosts::parse(host).ok_or_else(|| {
                let hint = "a name, `*.` and a name, or an IP address";
                Mistake::new(format!("`{host}` is not a host"), hint)
            })?,
        };
        Ok(Self::This(kind, hosts))
    }

    fn fits(&self, protocol: &Protocol) -> bool {
        let Self::This(kind, hosts) = self else {
            return true;
        };
        let is = match protocol {
            Protocol::Tls(_) => Kind::Tls,
            Protocol::Http1 { .. } => Kind::Http,
            Protocol::Http2 => Kind::Http2,
            Protocol::Ssh => Kind::Ssh,
            Protocol::Silent => Kind::Silent,
            _ => Kind::Unknown,
        };
        is == *kind && hosts.fits(protocol.host())
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anything, _) => true,
            (_, Self::Anything) => false,
            (Self::This(kind, hosts), Self::This(of, others)) => kind == of && hosts.cover(others),
        }
    }
}
