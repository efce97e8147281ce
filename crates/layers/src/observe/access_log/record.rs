use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use couplet_endpoint::{ConnId, Origin, Side};
use couplet_pairing::{CloseReason, SessionId};

use crate::Identity;

/// How a pair went, or a connection that never was joined. Shown, it is the
/// [line](super#lines) of text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// When it ended.
    pub time: SystemTime,
    /// Why the session ended, and the side that ended it.
    pub end: End,
    /// The error that ended it, with its causes. It may hold anything, as a peer may have a say in
    /// it.
    pub error: Option<String>,
    /// The session's number, where two were joined.
    pub session: Option<SessionId>,
    /// How long it lasted: the pair from its join, the connection from its beginning.
    pub duration: Duration,
    /// How many bytes were delivered from A to B.
    pub a_to_b: u64,
    /// How many bytes were delivered from B to A.
    pub b_to_a: u64,
    /// Side A's connection; of one that never was joined there is one leg.
    pub a: Option<Leg>,
    /// Side B's connection.
    pub b: Option<Leg>,
}

/// One connection. What only its side's [layer](super::SideAccessLogLayer) can know is `None`
/// without it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leg {
    /// The connection's number.
    pub conn: ConnId,
    /// Which way round it came.
    pub origin: Origin,
    /// The other end's address, where it has one.
    pub peer: Option<SocketAddr>,
    /// Our end's address, where it has one.
    pub local: Option<SocketAddr>,
    /// The proven identity of the peer.
    pub identity: Option<Identity>,
    /// How long it took from its beginning through its side's stack; `None` if it did not come
    /// through.
    pub handshake: Option<Duration>,
    /// How long it then waited for its partner, to come or to be dialled.
    pub waiting: Option<Duration>,
    /// How many bytes came over it.
    pub received: Option<u64>,
    /// How many bytes were sent over it.
    pub sent: Option<u64>,
}

/// Why a pair or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// A pair ended.
    Pair(CloseReason),
    /// A connection of this side ended that was never joined.
    Unjoined(Side, Unjoined),
}

/// Why a connection was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unjoined {
    /// Its side's stack refused it: an access list, a handshake, a deadline; or the pairing did.
    Refused,
    /// Its partner could not be dialled, or was refused by its own side's stack.
    NoPartner,
    /// No partner had come in time.
    Expired,
    /// It went away while it waited.
    Gone,
    /// It was let go, because the relay stopped or whatever served it was dropped.
    Stopped,
}

/// An IPv4 address as one, though a socket or a header calls it `::ffff:192.0.2.1`: a peer has one
/// name in a log.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
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
    /// It in two letters, see the [module](super).
    pub const fn termination_state(self) -> &'static str {
        match self {
            Self::Pair(reason) => reason.termination_state(),
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
