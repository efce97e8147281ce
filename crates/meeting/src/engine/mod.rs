//! The match-maker: which key waits at which node.
//!
//! Any `Service<Request, Response = Answer>` is a match-maker, if it keeps to this:
//!
//! - [`Request::Meet`] answers [`Answer::Found`] with an offer of the same key and of a side that meets the
//!   asker's, never the asker's own, and takes that offer out; or it enters the asker's offer until the end of
//!   its lease and answers [`Answer::Waits`].
//! - Of the offers of a key whose askers say how long they have [waited](Offer::waited), the one that has waited
//!   longest is found; of others, any.
//! - It is idempotent for a ticket: to ask again renews the lease, or gives the same answer again, for a reply
//!   may be lost.
//! - It may forget an offer, and may give one out twice. It should do neither often.
//! - An error says that nothing is known: the request may have been carried out, now or later.

pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use std::{fmt, time::Duration};

use couplet_connector::endpoint::Side;

/// A request to a match-maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Finds a partner for this connection, or enters its offer; asked again, renews its lease.
    Meet(Offer),
    /// Takes this offer out: the connection waits no longer. Answered by [`Answer::Done`], also if it is not
    /// there.
    Leave(Offer),
    /// Enters the offer of this peer again: the asker found it, and could not tell whether its node is there.
    /// Answered by [`Answer::Done`].
    PutBack(Offer, Peer),
}

/// The answer of a match-maker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A partner waits there.
    Found(Peer),
    /// No partner waits: the offer is entered until the end of its lease.
    Waits,
    /// No partner waits, and there is no room for the offer: too many of this key and side wait.
    Full,
    /// What was asked for is done.
    Done,
}

/// A connection that waits at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Connections with the same key meet.
    pub key: Key,
    /// The side: connections of different sides meet, and one without a side meets any.
    pub side: Option<Side>,
    /// The name of the connection.
    pub ticket: Ticket,
    /// The address of the connection's node, for other nodes.
    pub home: NodeAddr,
    /// The time for which the offer holds unless it is renewed.
    pub lease: Duration,
    /// How long the connection has waited, where those of its key are found in the order in which they came. All of
    /// a key have it, and a side, or none has.
    pub waited: Option<Duration>,
}

/// A connection that waits for the asker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The side, as it was offered.
    pub side: Option<Side>,
    /// The name of the connection.
    pub ticket: Ticket,
    /// The address of its node, for other nodes.
    pub home: NodeAddr,
}

/// A key as a match-maker sees it, good only for comparison. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 16]);

/// The random name of a connection that waits. It is worth as much as the connection: `Debug` shows the first
/// bytes alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub [u8; 16]);

/// The address of a node, which other nodes dial: `10.0.0.1:4001`. At most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddr(std::sync::Arc<str>);

/// The address of a node is empty, or longer than 255 bytes.
#[derive(Debug, thiserror::Error)]
#[error("address of a node has {0} bytes: 1 to 255")]
pub struct NodeAddrError(usize);

// ===== impl Request =====

impl Request {
    /// The asker's offer.
    pub fn offer(&self) -> &Offer {
        match self {
            Self::Meet(offer) | Self::Leave(offer) | Self::PutBack(offer, _) => offer,
        }
    }
}

// ===== impl Offer =====

impl Offer {
    /// Whether this connection may be joined with one of that side.
    pub fn meets(&self, side: Option<Side>) -> bool {
        match (self.side, side) {
            (Some(one), Some(other)) => one != other,
            _ => true,
        }
    }

    /// The answer to the other connection: this one as its peer.
    pub fn peer(&self) -> Peer {
        Peer {
            side: self.side,
            ticket: self.ticket,
            home: self.home.clone(),
        }
    }
}

// ===== impl Key =====

/// 32 lower-case hex digits.
impl fmt::LowerHex for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

// ===== impl Ticket =====

impl Ticket {
    /// Makes a new ticket.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        Self(bytes)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, ..] = self.0;
        write!(f, "Ticket({first:02x}{second:02x}…)")
    }
}

// ===== impl NodeAddr =====

impl NodeAddr {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for NodeAddr {
    type Error = NodeAddrError;

    fn try_from(text: &str) -> Result<Self, NodeAddrError> {
        match text.len() {
            1..=255 => Ok(Self(text.into())),
            wrong => Err(NodeAddrError(wrong)),
        }
    }
}

impl fmt::Display for NodeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}
