//! What a process listens on: no address twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use couplet_connector::endpoint::{Address, Host, ListenAddr, Side};

use crate::{
    mistake::Mistake,
    plan::Plan,
    side::{EndpointSpec, SideSpec},
};

/// A place where a relay or the admin endpoint listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening<'a> {
    /// The key in a file: `a`, `b`, `cluster` or `admin`.
    pub(crate) key: &'static str,
    endpoint: &'a EndpointSpec,
}

// ===== impl Plan =====

impl Plan {
    /// The sides, where other nodes connect, and the admin endpoint.
    pub(crate) fn listening(&self) -> Vec<Listening<'_>> {
        let sides = self.sides.specs().map(|(side, spec)| match side {
            Side::A => Listening::new("a", spec),
            Side::B => Listening::new("b", spec),
        });
        #[cfg(feature = "meeting")]
        let sides = sides.chain(
            self.cluster()
                .map(|cluster| Listening::new("cluster", &cluster.port)),
        );
        #[cfg(feature = "admin")]
        let sides = sides.chain(of_admin(&self.admin));
        sides.collect()
    }

    /// Nothing can listen where another does, unless both share the port.
    pub(crate) fn refuse_same_address(&self) -> Result<(), Mistake> {
        let all = self.listening();
        for (number, second) in all.iter().enumerate() {
            if let Some(first) = all[..number].iter().find(|first| first.excludes(second)) {
                return Err(first.refuses(second));
            }
        }
        Ok(())
    }
}

/// Where the admin endpoint listens.
#[cfg(feature = "admin")]
pub(crate) fn of_admin(admin: &crate::admin::AdminSpec) -> impl Iterator<Item = Listening<'_>> {
    admin.sides().map(|side| Listening::new("admin", side))
}

// ===== impl Listening =====

impl<'a> Listening<'a> {
    fn new(key: &'static str, side: &'a SideSpec) -> Self {
        let endpoint = &side.endpoint;
        Self { key, endpoint }
    }

    pub(crate) fn address(&self) -> &'a Address {
        &self.endpoint.address
    }

    /// Whether only one of the two can be there.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        if self.endpoint.reuse_port && other.endpoint.reuse_port {
            return false;
        }
        match (self.address(), other.address()) {
            (Address::Listen(one), Address::Listen(other))
            | (Address::ListenQuic(one), Address::ListenQuic(other)) => overlap(one, other),
            (Address::ListenVsock(one), Address::ListenVsock(other)) => {
                one == other && one.port() != 0
            }
            (Address::ListenUnix(one), Address::ListenUnix(other)) => one == other,
            (Address::ListenSystemd(one), Address::ListenSystemd(other)) => one == other,
            (Address::Stdio, Address::Stdio) => true,
            _ => false,
        }
    }

    /// The mistake in `second`, which it excludes.
    fn refuses(&self, second: &Self) -> Mistake {
        let (address, taken) = (second.address(), self.address());
        let (message, hint) = match (second.key, address) {
            ("b", Address::Stdio) => (
                "both sides are `stdio`".to_owned(),
                "one of them, and `dial:HOST:PORT` or `listen:PORT`".to_owned(),
            ),
            ("b", _) if address == taken => (
                format!("both sides are `{address}`"),
                match address {
                    Address::ListenUnix(_) => "two paths".to_owned(),
                    Address::ListenSystemd(_) => "two names of sockets".to_owned(),
                    _ => format!(
                        "two ports; `couplet rendezvous {address}` joins clients of one port by key"
                    ),
                },
            ),
            _ => (
                format!("`{address}` is taken: {} is `{taken}`", self.name()),
                "another address".to_owned(),
            ),
        };
        let mistake = Mistake::new(message, hint).about(second.key);
        match second.key {
            "b" if address == taken => mistake,
            "b" => mistake.within("side B"),
            flag => mistake.within(format!("--{flag}")),
        }
    }

    fn name(&self) -> String {
        match self.key {
            "a" => "side A".to_owned(),
            "b" => "side B".to_owned(),
            flag => format!("`--{flag}`"),
        }
    }
}

/// Whether an address of this machine is in both, with the same port.
fn overlap(one: &ListenAddr, other: &ListenAddr) -> bool {
    let is_one_port = one.port() == other.port() && one.port() != 0;
    let (ours, theirs) = (addresses(one), addresses(other));
    let mut pairs = ours
        .iter()
        .flat_map(|our| theirs.iter().map(move |their| (our, their)));
    is_one_port && (one == other || pairs.any(|(our, their)| is_same(*our, *their)))
}

/// Those that are known without a look-up.
fn addresses(addr: &ListenAddr) -> Vec<IpAddr> {
    match addr.host() {
        None => vec![Ipv6Addr::UNSPECIFIED.into()],
        Some(Host::Ip(ip)) => vec![ip.to_canonical()],
        Some(Host::Name(name)) if name.as_str().eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Some(_) => Vec::new(),
    }
}

/// With Linux, every address of a kind is in use where one is: other systems give the closer one its own.
fn is_same(one: IpAddr, other: IpAddr) -> bool {
    // IPv6 without an address takes IPv4 as well.
    let holds = |all: IpAddr, one: IpAddr| {
        all.is_unspecified() && (all.is_ipv6() || all.is_ipv4() == one.is_ipv4())
    };
    one == other || (cfg!(target_os = "linux") && (holds(one, other) || holds(other, one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaps(one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|addr| addr.parse().unwrap());
        assert_eq!(overlap(&one, &other), overlap(&other, &one));
        overlap(&one, &other)
    }

    #[test]
    fn a_port_is_one_in_every_form() {
        for (one, other) in [
            ("9", "localhost:9"),
            ("localhost:9", "127.0.0.1:9"),
            ("localhost:9", "[::1]:9"),
            ("relay.example.org:9", "relay.example.org:9"),
        ] {
            assert!(overlaps(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("*:9", "*:10"),
            ("*:0", "*:0"),
            ("127.0.0.1:9", "127.0.0.2:9"),
            ("0.0.0.0:9", "[::1]:9"),
            ("relay.example.org:9", "127.0.0.1:9"),
        ] {
            assert!(!overlaps(one, other), "{one} {other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn all_addresses_hold_each() {
        for (one, other) in [
            ("*:9", "127.0.0.1:9"),
            ("*:9", "[2001:db8::1]:9"),
            ("*:9", "9"),
            ("[::]:9", "0.0.0.0:9"),
            ("0.0.0.0:9", "10.0.0.1:9"),
        ] {
            assert!(overlaps(one, other), "{one} {other}");
        }
    }
}
