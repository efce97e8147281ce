use std::net::{IpAddr, Ipv4Addr};

use couplet_endpoint::Info;

/// One client, or several that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6([u8; 8]),
    /// Of a Unix socket: all processes of one user.
    User(u32),
    /// All peers of which nothing is known.
    NoAddress,
    /// All clients beyond the size of the table.
    #[cfg(feature = "rate-limit")]
    Others,
    /// All clients.
    All,
}

/// Whether each client has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    PerAddress,
    Overall,
}

// ===== impl Client =====

impl Client {
    /// The client at the other end.
    pub(super) fn of(info: &Info) -> Self {
        match info.peer.map(|peer| peer.ip().to_canonical()) {
            None => info
                .unix()
                .map_or(Self::NoAddress, |unix| Self::User(unix.uid)),
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
                Self::V6(network)
            }
        }
    }

    /// The clients that share the limit of this client.
    pub(super) const fn within(self, scope: Scope) -> Self {
        match scope {
            Scope::PerAddress => self,
            Scope::Overall => Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use couplet_endpoint::Origin;

    use super::*;

    fn client(peer: &str) -> Client {
        let mut info = Info::new(Origin::Accepted);
        info.peer = Some(peer.parse::<SocketAddr>().unwrap());
        Client::of(&info)
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(client("192.0.2.7:1"), client("192.0.2.7:2"));
        assert_ne!(client("192.0.2.7:1"), client("192.0.2.8:1"));
        assert_eq!(client("192.0.2.7:1"), client("[::ffff:192.0.2.7]:1"));
        assert_eq!(
            client("[2001:db8::1]:1"),
            client("[2001:db8::ffff:0:0:1]:2")
        );
        assert_ne!(client("[2001:db8::1]:1"), client("[2001:db8:0:1::1]:1"));
        let user = |uid| Client::of(&crate::testing::of_user(uid, 0));
        assert_eq!(user(7), user(7));
        assert_ne!(user(7), user(8));
        let unknown = Client::of(&Info::new(Origin::Accepted));
        assert_eq!(unknown, Client::NoAddress);
        assert_eq!(
            unknown.within(Scope::Overall),
            client("[::1]:1").within(Scope::Overall)
        );
    }
}
