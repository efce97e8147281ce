use std::time::Duration;

use couplet_endpoint::BoxError;
use thiserror::Error;

use crate::observe::stats::RefusalCause;

/// A handshake did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The handshake refused the connection, or the connection failed.
    #[error("handshake failed")]
    Failed {
        /// The cause that the refusal counts under, unless the connection broke.
        cause: RefusalCause,
        /// Why.
        source: BoxError,
    },
    /// The handshake was dropped early for a newcomer: all slots were taken, most of them by the peer's
    /// network.
    #[error("handshake gave way to a newcomer: all slots are taken, most by this peer's network")]
    GaveWay,
    /// The handshake was not done in time.
    #[error("handshake not done within {0:?}")]
    Timeout(Duration),
}

/// A connection was a health check: a proxy connected on its own behalf, to see whether a server
/// listens, and closed. Nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("health check: the proxy connected and closed")]
pub struct HealthCheck;
