//! A client of a rendezvous that is sent to the relay where its peer waits.

use std::{
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use couplet_connector::{
    BoxError, Conn, SideLayers,
    endpoint::{BoxIo, Dial, DialAddr, Host, HostName, io::ResetUnlessShut},
    layers::Networks,
};
use couplet_protocols::meet::Redial;
use futures::{FutureExt, future::BoxFuture};
use tower::Service;

use crate::{mistake::Mistake, networks::networks, side::through};

/// Connects to another relay, if that is one of those allowed, with the settings and the layers of the side.
#[derive(Clone, Debug)]
pub(crate) struct Redialler {
    allowed: Arc<[Allowed]>,
    dial: Arc<OnceLock<Dial>>,
    layers: Arc<OnceLock<SideLayers>>,
}

/// Relays that a client may be sent to.
#[derive(Clone, Debug, PartialEq)]
struct Allowed {
    hosts: Hosts,
    /// `None`: that of the relay which was dialled first.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    Name(String),
    /// All names that end so.
    Below(String),
    Within(Networks),
}

// ===== impl Redialler =====

impl Redialler {
    /// `HOST[:PORT]+…`
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let allowed = text.split('+').map(Allowed::parse);
        Ok(Self {
            allowed: allowed.collect::<Result<_, _>>()?,
            dial: Arc::default(),
            layers: Arc::default(),
        })
    }

    /// What a connection goes through before its rendezvous.
    pub(crate) fn lead_through(&self, layers: SideLayers) {
        let _ = self.layers.set(layers);
    }

    /// Dials so: the target is yet to be said.
    pub(crate) fn dial_with(&self, dial: Dial) {
        let _ = self.dial.set(dial);
    }

    fn allows(&self, to: &DialAddr, first_port: Option<u16>) -> bool {
        let mut allowed = self.allowed.iter();
        allowed.any(|allowed| allowed.fits(to, first_port))
    }

    async fn connect(self, redial: Redial) -> Result<Conn<BoxIo>, BoxError> {
        let (Some(dial), Some(layers)) = (self.dial.get(), self.layers.get()) else {
            return Err("the side is not open".into());
        };
        let first = redial.first();
        let target = first.target.as_deref();
        let dial = match (redial.to(), target) {
            (Some(to), _) => {
                if !self.allows(to, target.map(DialAddr::port)) {
                    return Err(NOT_ALLOWED.into());
                }
                dial.clone().retarget(to.clone())
            }
            (None, Some(target)) => {
                let dial = dial.clone().retarget(target.clone());
                // Of a name with several addresses, the same.
                match first.peer {
                    Some(peer) => dial.only(peer),
                    None => dial,
                }
            }
            (None, None) => return Err("the relay has no address".into()),
        };
        let conn = dial.connect().await?.map_io(ResetUnlessShut::new);
        through(layers, redial.replaces(conn).boxed()).await
    }
}

const NOT_ALLOWED: &str = "`rendezvous.redirect` does not name it";

impl Service<Redial> for Redialler {
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Conn<BoxIo>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, redial: Redial) -> Self::Future {
        self.clone().connect(redial).boxed()
    }
}

// ===== impl Allowed =====

impl Allowed {
    fn parse(text: &str) -> Result<Self, Mistake> {
        let wrong = || {
            Mistake::new(
                format!("`{text}` names no relays"),
                "`relay.example.org`, `*.example.org`, `192.0.2.0/24` or `[2001:db8::/32]`, each with `:PORT` or \
                 without",
            )
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                match rest {
                    "" => (host, None),
                    rest => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = port.map(|port| match port.parse() {
            Ok(1..) => port.parse(),
            _ => "".parse(),
        });
        Ok(Self {
            hosts: Hosts::parse(host).map_err(|network| network.unwrap_or_else(wrong))?,
            port: port.transpose().map_err(|_| wrong())?,
        })
    }

    fn fits(&self, to: &DialAddr, first_port: Option<u16>) -> bool {
        let port = self.port.or(first_port);
        let host = match (&self.hosts, to.host()) {
            (Hosts::Within(networks), Host::Ip(ip)) => networks.contains(*ip),
            (Hosts::Name(name), Host::Name(to)) => *name == plain(to.as_str()),
            (Hosts::Below(end), Host::Name(to)) => plain(to.as_str()).ends_with(&**end),
            _ => false,
        };
        host && port == Some(to.port())
    }
}

// ===== impl Hosts =====

impl Hosts {
    /// The error is that of a network, if it is one.
    fn parse(text: &str) -> Result<Self, Option<Mistake>> {
        let is_address = text.contains(['/', ':']) || text.parse::<std::net::IpAddr>().is_ok();
        if is_address {
            return networks(text).map(Self::Within).map_err(Some);
        }
        let below = text.strip_prefix("*.");
        let name = plain(below.unwrap_or(text));
        HostName::new(&*name).map_err(|_| None)?;
        Ok(match below {
            Some(_) => Self::Below(format!(".{name}")),
            None => Self::Name(name),
        })
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &str, to: &str) -> bool {
        let redial = Redialler::parse(allowed).unwrap();
        redial.allows(&to.parse().unwrap(), Some(4000))
    }

    #[test]
    fn a_client_goes_to_relays_that_are_named_alone() {
        for (allowed, to) in [
            ("relay.example.org", "Relay.Example.org.:4000"),
            ("relay.example.org:4001", "relay.example.org:4001"),
            ("*.example.org", "a.b.example.org:4000"),
            ("192.0.2.0/24", "192.0.2.7:4000"),
            ("192.0.2.7:1", "192.0.2.7:1"),
            ("[2001:db8::/32]:1", "[2001:db8::7]:1"),
            ("[2001:db8::/32]", "[2001:db8::7]:4000"),
            ("2001:db8::7", "[2001:db8::7]:4000"),
            ("a.example.org+192.0.2.7", "192.0.2.7:4000"),
        ] {
            assert!(allows(allowed, to), "{allowed} {to}");
        }
        for (allowed, to) in [
            ("relay.example.org", "relay.example.org:4001"),
            ("relay.example.org", "relay.example.org.evil.test:4000"),
            ("*.example.org", "example.org:4000"),
            ("*.example.org", "evilexample.org:4000"),
            ("192.0.2.0/24", "192.0.3.7:4000"),
            ("192.0.2.0/24", "192.0.2.7:22"),
            ("relay.example.org", "192.0.2.7:4000"),
        ] {
            assert!(!allows(allowed, to), "{allowed} {to}");
        }
    }

    #[test]
    fn what_names_no_relays_is_refused() {
        for wrong in [
            "",
            "a b",
            "*",
            "a:0",
            "a:70000",
            "a:x",
            "[::1",
            "[::1]4000",
            "10.0.0.1/8",
            "a++b",
            "uid:0/0",
        ] {
            assert!(Redialler::parse(wrong).is_err(), "{wrong}");
        }
    }
}
