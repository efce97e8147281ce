use std::{
    fmt,
    net::SocketAddr,
    ops::Not,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Extensions, Program, observer, privacy::shown_client};
use crate::address::{DialAddr, UnixAddr, VsockAddr};

/// Everything known about a connection.
///
/// The fields are known for every connection. A layer puts what it learns (an identity, a key) into
/// the [`extensions`](Self::extensions), under a type of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Info {
    /// Unique within the process.
    pub id: ConnId,
    /// Whether it was accepted or dialled.
    pub origin: Origin,
    /// The side of the relay: set by the connector before the side's stack, and at the latest by the
    /// pairing.
    pub side: Option<Side>,
    /// The address that was dialled, as written; `None` for an accepted connection. Layers take the
    /// name of the peer from here.
    pub target: Option<Arc<DialAddr>>,
    /// The peer's address; `None` where the peer has none.
    pub peer: Option<SocketAddr>,
    /// Our own address; `None` where our end has none.
    pub local: Option<SocketAddr>,
    /// When the connection was accepted, or the dial had succeeded.
    pub since: Instant,
    /// Whether the peer has sent bytes for the relay itself, such as a token or a key; set by the
    /// handshake that read them. A peer that ends its stream after those bytes may want to receive
    /// only, so its connection goes on waiting.
    pub has_spoken: bool,
    /// Whether the peer had ended its stream when the connection was joined. The peer may also have
    /// closed the connection, which looks the same until bytes are sent to the peer.
    pub has_ended: bool,
    /// The values that layers added.
    pub extensions: Extensions,
    /// Microseconds, and one more; 0 before. Where the other fields leave a hole.
    through: u32,
}

/// A connection's number, unique within the process: `#17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

/// Shows a peer's address; made by [`Info::peer_name`].
#[derive(Clone, Debug)]
pub struct PeerName(Name);

#[derive(Clone, Debug)]
enum Name {
    Unknown,
    Ip(SocketAddr),
    /// The user of a client.
    User(u32),
    /// The socket of a server.
    Socket(Arc<UnixAddr>),
    Program(Program),
    Vsock(VsockAddr),
}

/// Whether a connection was accepted or dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The peer connected to us.
    Accepted,
    /// We connected to the peer.
    Dialled,
}

/// One of the two sides that a relay joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

// ===== impl Info =====

impl Info {
    /// The info of a new connection, with a number of its own and the present time.
    pub fn new(origin: Origin) -> Self {
        Self {
            id: ConnId::next(),
            origin,
            side: None,
            target: None,
            peer: None,
            local: None,
            since: Instant::now(),
            has_spoken: false,
            has_ended: false,
            extensions: Extensions::new(),
            through: 0,
        }
    }

    /// The info of a connection that this one carries: with the same addresses and values, and a number, a
    /// time and observers of its own. What is this connection's alone is left out: its observers, its place
    /// in a pool, the options of its socket.
    #[must_use]
    pub fn carries(&self, origin: Origin) -> Self {
        let mut carried = Self {
            target: self.target.clone(),
            peer: self.peer,
            local: self.local,
            extensions: self.extensions.clone(),
            ..Self::new(origin)
        };
        observer::leave_out(&mut carried.extensions);
        carried.extensions.remove::<super::Pooled>();
        #[cfg(unix)]
        carried.extensions.remove::<crate::io::DeferredOptions>();
        carried
    }

    /// How long the connection took from its beginning through its side's stack: its handshakes. `None`
    /// before it was through. Exact to a microsecond, and 71 minutes at most.
    pub fn handshake(&self) -> Option<Duration> {
        let micros = self.through.checked_sub(1)?;
        Some(Duration::from_micros(micros.into()))
    }

    /// Says that the connection is through its side's stack, for [`handshake`](Self::handshake). For the
    /// pairing; the first call counts.
    pub fn is_through(&mut self) {
        if self.through == 0 {
            let micros = self.since.elapsed().as_micros();
            self.through = u32::try_from(micros + 1).unwrap_or(u32::MAX);
        }
    }

    /// The peer's address, for a log line; that of a client [shortened](crate::shorten_client_addresses) where that
    /// is asked for. Over a Unix socket a client is its user, `uid:1000`, and
    /// a server its socket, `unix:/run/app.sock`. A program is its name, `exec:cat`, and a machine over vsock its address,
    /// `vsock:3:1024`. `?` for a peer of
    /// which nothing is known.
    pub fn peer_name(&self) -> PeerName {
        if let Some(program) = self.program() {
            return PeerName(Name::Program(program.clone()));
        }
        if let (None, Some(addr)) = (self.peer, self.vsock()) {
            return PeerName(Name::Vsock(*addr));
        }
        PeerName(match (self.peer, self.unix(), self.origin) {
            (Some(peer), _, Origin::Accepted) => Name::Ip(shown_client(peer)),
            (Some(peer), _, Origin::Dialled) => Name::Ip(peer),
            (None, Some(unix), Origin::Accepted) => Name::User(unix.uid),
            (None, Some(unix), Origin::Dialled) => Name::Socket(Arc::clone(&unix.socket)),
            (None, None, _) => Name::Unknown,
        })
    }
}

// ===== impl PeerName =====

/// Of a client.
impl From<Option<SocketAddr>> for PeerName {
    fn from(peer: Option<SocketAddr>) -> Self {
        Self(peer.map_or(Name::Unknown, |client| Name::Ip(shown_client(client))))
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // An IPv4 address is shown as one, though a socket or a header calls it ::ffff:192.0.2.1.
            Name::Ip(peer) => SocketAddr::new(peer.ip().to_canonical(), peer.port()).fmt(f),
            Name::User(uid) => write!(f, "uid:{uid}"),
            Name::Socket(socket) => socket.fmt(f),
            Name::Program(program) => program.fmt(f),
            Name::Vsock(addr) => addr.fmt(f),
            Name::Unknown => f.write_str("?"),
        }
    }
}

// ===== impl ConnId =====

impl ConnId {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

// ===== impl Side =====

impl Not for Side {
    type Output = Self;

    /// The other side.
    fn not(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_time() {
        let mut info = Info::new(Origin::Accepted);
        assert_eq!(info.handshake(), None);
        tokio::time::advance(Duration::from_micros(1500)).await;
        info.is_through();
        tokio::time::advance(Duration::from_secs(1)).await;
        info.is_through();
        assert_eq!(info.handshake(), Some(Duration::from_micros(1500)));
    }

    #[test]
    fn what_is_carried_has_the_values_of_its_carrier_and_no_observer() {
        use std::sync::atomic::AtomicU32;

        use crate::conn::ConnEvent;

        let heard = Arc::new(AtomicU32::new(0));
        let mut carrier = Info::new(Origin::Dialled);
        carrier.peer = Some(([192, 0, 2, 1], 7).into());
        carrier.extensions.insert("identity");
        carrier.observe({
            let heard = Arc::clone(&heard);
            move |_: &Info, _| {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
        let carried = carrier.carries(Origin::Accepted);
        assert_ne!(carried.id, carrier.id);
        assert_eq!(carried.origin, Origin::Accepted);
        assert_eq!(carried.peer, carrier.peer);
        assert_eq!(carried.extensions.get(), Some(&"identity"));
        carried.tell(ConnEvent::Waits);
        assert_eq!(heard.load(Ordering::Relaxed), 0);
        carrier.tell(ConnEvent::Waits);
        assert_eq!(heard.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_ipv4_peer_is_shown_as_one() {
        let mut info = Info::new(Origin::Accepted);
        assert_eq!(info.peer_name().to_string(), "?");
        for (peer, shown) in [
            ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
            ("192.0.2.1:7", "192.0.2.1:7"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
        ] {
            info.peer = Some(peer.parse().unwrap());
            assert_eq!(info.peer_name().to_string(), shown);
        }
    }

    #[test]
    fn over_a_unix_socket_a_client_is_its_user_and_a_server_its_socket() {
        let socket: UnixAddr = "/run/a.sock".parse().unwrap();
        let unix = crate::conn::UnixPeer::new(socket, 7, 8, None);
        for (origin, shown) in [
            (Origin::Accepted, "uid:7"),
            (Origin::Dialled, "unix:/run/a.sock"),
        ] {
            let mut info = Info::new(origin);
            info.extensions.insert(unix.clone());
            assert_eq!(info.peer_name().to_string(), shown);
            // Behind a PROXY header.
            info.peer = Some(([192, 0, 2, 1], 9).into());
            assert_eq!(info.peer_name().to_string(), "192.0.2.1:9");
        }
    }
}
