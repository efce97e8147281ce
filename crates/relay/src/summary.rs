use std::{fmt, io, time::Duration};

use couplet_endpoint::Side;
use couplet_pairing::{CloseReason, Session, SessionId};
use thiserror::Error;

/// The result of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The session's number.
    pub session: SessionId,
    /// The bytes delivered from A to B.
    pub a_to_b: u64,
    /// The bytes delivered from B to A.
    pub b_to_a: u64,
    /// The session's duration from the join.
    pub duration: Duration,
    /// Why the pair ended, and the side that ended it.
    pub reason: CloseReason,
}

/// A connection failed while its pair was relayed.
#[derive(Debug, Error)]
#[error("session ended: {}", .summary.reason)]
pub struct RelayError {
    summary: Summary,
    source: io::Error,
}

// ===== impl Summary =====

impl Summary {
    pub(crate) fn of(session: &Session, reason: CloseReason) -> Self {
        Self {
            session: session.id(),
            a_to_b: session.meter().bytes(Side::A),
            b_to_a: session.meter().bytes(Side::B),
            duration: session.duration(),
            reason,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "session {}: {} bytes A to B, {} bytes B to A in {:?}: {}",
            self.session, self.a_to_b, self.b_to_a, self.duration, self.reason
        )
    }
}

// ===== impl RelayError =====

impl RelayError {
    pub(crate) fn new(summary: Summary, source: io::Error) -> Self {
        Self { summary, source }
    }

    /// The summary of the session until the failure.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}
