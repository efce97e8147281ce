use std::time::Duration;

use thiserror::Error;

#[cfg(feature = "rate-limit")]
use super::Rate;

/// A connection was closed because it was over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OverLimit {
    /// Connections beyond the limit are refused.
    #[error("connection over {0}")]
    Refused(Limit),
    /// The queue was full, or the connection gave way to an address with fewer connections.
    #[error("connection over {0}, and its queue is full")]
    QueueFull(Limit),
    /// The connection waited in the queue for this time, the queue's deadline.
    #[error("connection still over {0} after {1:?}")]
    Timeout(Limit, Duration),
    /// The client left while it waited.
    #[error("client left while it waited: over {0}")]
    Gone(Limit),
}

/// A limit and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, derive_more::Display)]
#[non_exhaustive]
pub enum Limit {
    /// On the open connections of each address.
    #[display("the limit of {_0} open connections of one address")]
    ConnsPerAddress(usize),
    /// On all open connections.
    #[display("the limit of {_0} open connections")]
    Conns(usize),
    /// On the new connections of each address.
    #[cfg(feature = "rate-limit")]
    #[display("the limit of new connections of one address, {_0}")]
    RatePerAddress(Rate),
    /// On all new connections.
    #[cfg(feature = "rate-limit")]
    #[display("the limit of new connections, {_0}")]
    Rate(Rate),
}
