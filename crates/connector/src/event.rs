use std::{error::Error, net::SocketAddr};

use couplet_endpoint::{ConnId, Info, Side};
use couplet_layers::RefusalCause;
use couplet_pairing::{CloseReason, Session};

/// An event of a relay, for [`Handle::observe`](crate::Handle::observe).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RelayEvent<'a> {
    /// Two connections are joined: their bytes begin to move.
    Joined(&'a Session),
    /// A joined session has ended.
    Ended {
        /// The session.
        session: &'a Session,
        /// The reason, and the side that ended the session.
        reason: CloseReason,
        /// The error of a layer of the pair stack or of the relay, if that ended the session.
        error: Option<&'a (dyn Error + 'static)>,
    },
    /// A connection was not joined.
    Refused(Refused<'a>),
    /// A connection waits in a rendezvous.
    Waits(&'a Info),
    /// A connection no longer waits: it is joined, or `Refused` follows.
    Leaves(&'a Info),
}

/// A connection that was not joined.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// The connection's side.
    pub side: Side,
    /// The connection's number.
    pub conn: ConnId,
    /// The peer's address, where it has one.
    pub peer: Option<SocketAddr>,
    /// The reason, as one of a closed set.
    pub cause: RefusalCause,
    /// The error that a layer of the side's stack returned. `None` if the pairing refused the connection.
    pub error: Option<&'a (dyn Error + 'static)>,
}
