use std::net::{IpAddr, Ipv6Addr};

use super::{Info, Origin};

/// Where a peer comes from, as far as limits and fair shares tell peers apart: an IPv4 address, the
/// first 64 bits of an IPv6 address, the user of a Unix socket, or none of these.
///
/// An IPv6 network of 64 bits is what one customer gets, so its addresses count as one. An
/// IPv4 address mapped into IPv6 is that IPv4 address. Peers of which nothing is known are one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerNetwork(Network);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Network {
    #[default]
    Unknown,
    Ip(IpAddr),
    User(u32),
}

// ===== impl PeerNetwork =====

impl PeerNetwork {
    pub(crate) const UNKNOWN: Self = Self(Network::Unknown);

    /// The network of this address.
    pub fn of(ip: Option<IpAddr>) -> Self {
        Self(ip.map_or(Network::Unknown, |ip| {
            Network::Ip(match ip.to_canonical() {
                IpAddr::V4(ip) => IpAddr::V4(ip),
                IpAddr::V6(ip) => {
                    let network = ip.to_bits() & (u128::MAX << 64);
                    IpAddr::V6(Ipv6Addr::from_bits(network))
                }
            })
        }))
    }

    /// All processes of this user of the machine.
    pub const fn of_user(uid: u32) -> Self {
        Self(Network::User(uid))
    }

    /// Whether an address or a user is known.
    pub fn is_known(&self) -> bool {
        *self != Self::default()
    }
}

// ===== impl Info =====

impl Info {
    /// The network of the peer's address, or, without an address, its user.
    pub fn peer_network(&self) -> PeerNetwork {
        match (self.peer, self.unix()) {
            (None, Some(unix)) => PeerNetwork::of_user(unix.uid),
            (peer, _) => PeerNetwork::of(peer.map(|peer| peer.ip())),
        }
    }

    /// The network of a peer that connected to us, if it is known: slots are shared fairly among these
    /// networks. `None` for a peer that we dialled.
    pub fn stranger(&self) -> Option<PeerNetwork> {
        match self.origin {
            Origin::Accepted => Some(self.peer_network()).filter(PeerNetwork::is_known),
            Origin::Dialled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: &str) -> PeerNetwork {
        PeerNetwork::of(Some(ip.parse().expect("an address")))
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_a_mapped_address_is_an_ipv4_one() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("192.0.2.1"), PeerNetwork::of(None));
        assert_ne!(PeerNetwork::of_user(1), PeerNetwork::of_user(2));
        assert_ne!(PeerNetwork::of_user(0), PeerNetwork::of(None));
    }
}
