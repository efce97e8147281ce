use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use couplet_endpoint::{
    ConnId, Exit, Origin, Program, RelayName, Side, UnixPeer, VsockAddr, shown_client,
};
use couplet_pairing::{CloseReason, SessionId};

use crate::{Forwarded, Identity};

/// The record of a pair, or of a connection that was never joined. `Display` is the
/// [line](super#lines) of text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// When the pair or the connection ended, or the record was made of a pair that goes on.
    pub time: SystemTime,
    /// Why the session ended, and the side that ended it.
    pub end: End,
    /// The [name](RelayName) of the relay, where it has one.
    pub relay: RelayName,
    /// The error that ended the session, with its causes. A peer may have chosen a part of the text, so
    /// escape it before showing it.
    pub error: Option<String>,
    /// The session's number; `None` where none was joined.
    pub session: Option<SessionId>,
    /// The duration: of a pair from its join, of a connection from its accept or dial.
    pub duration: Duration,
    /// The bytes delivered from A to B.
    pub a_to_b: u64,
    /// The bytes delivered from B to A.
    pub b_to_a: u64,
    /// Side A's connection. The record of an unjoined connection has one leg.
    pub a: Option<Leg>,
    /// Side B's connection.
    pub b: Option<Leg>,
}

/// One connection of a record. Some fields are `None` without the side's
/// [layer](super::SideAccessLogLayer).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leg {
    /// The connection's number.
    pub conn: ConnId,
    /// Whether the connection was accepted or dialled.
    pub origin: Origin,
    /// The peer's address, that of a client as it may be [shown](couplet_endpoint::shown_client); `None` where the
    /// peer has none.
    pub peer: Option<SocketAddr>,
    /// Our own address; `None` where our end has none.
    pub local: Option<SocketAddr>,
    /// The peer of a Unix socket.
    pub unix: Option<UnixPeer>,
    /// The peer over vsock.
    pub vsock: Option<VsockAddr>,
    /// The program that was started.
    pub program: Option<Program>,
    /// The proven identity of the peer.
    pub identity: Option<Identity>,
    /// The node that the client came to, if that is another one than ours. The peer and its identity are the
    /// client's, and the wait is that at its node.
    pub node: Option<Forwarded>,
    /// The time from the accept or dial until the connection had passed its side's stack; `None` if it
    /// did not.
    pub handshake: Option<Duration>,
    /// The time that it then waited for its partner, to connect or to be dialled.
    pub waiting: Option<Duration>,
    /// The bytes received on the connection.
    pub received: Option<u64>,
    /// The bytes sent on the connection.
    pub sent: Option<u64>,
}

/// Why a pair or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// A pair ended.
    Pair(CloseReason),
    /// A pair has lasted for a while, and goes on: see [`AccessLogLayer::every`](super::AccessLogLayer::every).
    Live,
    /// A connection of this side ended that was never joined.
    Unjoined(Side, Unjoined),
}

/// Why a connection was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unjoined {
    /// The side's stack refused the connection (an access list, a handshake, a deadline), or the
    /// pairing did.
    Refused,
    /// The partner could not be dialled, or was refused by the other side's stack.
    NoPartner,
    /// No partner came in time.
    Expired,
    /// The peer went away while the connection waited.
    Gone,
    /// The relay stopped, or dropped the future that served the connection.
    Stopped,
}

/// The IPv4 address of an IPv4-mapped one (`::ffff:192.0.2.1`), so that a peer has one name in a log.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The same of a peer: a client's as it may be shown.
pub(super) fn shown_peer(peer: SocketAddr, origin: Origin) -> SocketAddr {
    match origin {
        Origin::Accepted => shown_client(peer),
        Origin::Dialled => canonical(peer),
    }
}

// ===== impl Leg =====

impl Leg {
    /// The other end, as a log names it: its address; over a Unix socket the user of a client, the
    /// socket of a server; over vsock the machine and its port; the name of a program.
    pub fn peer_text(&self) -> Option<String> {
        let unix = || {
            let unix = self.unix.as_ref()?;
            Some(match self.origin {
                Origin::Accepted => format!("uid:{}", unix.uid),
                Origin::Dialled => unix.socket.to_string(),
            })
        };
        let program = || Some(self.program.as_ref()?.to_string());
        let vsock = || self.vsock.map(|vsock| vsock.to_string());
        let peer = self.peer.map(|peer| peer.to_string());
        peer.or_else(unix).or_else(vsock).or_else(program)
    }

    /// Our end, likewise.
    pub(super) fn local_text(&self) -> Option<String> {
        let unix = || {
            let unix = self.unix.as_ref()?;
            (self.origin == Origin::Accepted).then(|| unix.socket.to_string())
        };
        self.local.map(|local| local.to_string()).or_else(unix)
    }

    /// How the program has ended; `None` where it still runs, or there is none.
    pub fn exit(&self) -> Option<Exit> {
        self.program.as_ref()?.exit()
    }

    /// What the system says of the peer's process, by name.
    pub(super) fn credentials(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let all = self.unix.as_ref().map(|unix| {
            let pid = unix.pid.map(|pid| ("pid", pid));
            [Some(("uid", unix.uid)), Some(("gid", unix.gid)), pid]
        });
        let program = self.program.as_ref().map(|program| ("pid", program.pid()));
        all.into_iter().flatten().flatten().chain(program)
    }
}

// ===== impl Record =====

impl Record {
    /// The connection on that side.
    pub fn leg(&self, side: Side) -> Option<&Leg> {
        match side {
            Side::A => self.a.as_ref(),
            Side::B => self.b.as_ref(),
        }
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> &mut Option<Leg> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

// ===== impl End =====

impl End {
    /// The end in two letters: see the [module](super).
    pub const fn termination_state(self) -> &'static str {
        match self {
            Self::Pair(reason) => reason.termination_state(),
            Self::Live => "--",
            Self::Unjoined(Side::A, why) => match why {
                Unjoined::Refused => "aR",
                Unjoined::NoPartner => "aP",
                Unjoined::Expired => "aE",
                Unjoined::Gone => "aG",
                Unjoined::Stopped => "aS",
            },
            Self::Unjoined(Side::B, why) => match why {
                Unjoined::Refused => "bR",
                Unjoined::NoPartner => "bP",
                Unjoined::Expired => "bE",
                Unjoined::Gone => "bG",
                Unjoined::Stopped => "bS",
            },
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(reason) => reason.fmt(f),
            Self::Live => f.write_str("goes on"),
            Self::Unjoined(_, why) => f.write_str(match why {
                Unjoined::Refused => "refused",
                Unjoined::NoPartner => "no partner reached",
                Unjoined::Expired => "no partner came in time",
                Unjoined::Gone => "gone while it waited",
                Unjoined::Stopped => "let go",
            }),
        }
    }
}
