use std::{fmt, time::Duration};

use thiserror::Error;

#[cfg(feature = "rate-limit")]
use super::Rate;

/// A connection was closed because it was over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OverLimit {
    /// Those beyond the limit are refused.
    #[error("over {0}")]
    Refused(Limit),
    /// Those beyond the limit wait, and as many do already as may.
    #[error("over {0}, and no more may wait")]
    QueueFull(Limit),
    /// Its turn has not come in this time.
    #[error("not past {0} within {1:?}")]
    Timeout(Limit, Duration),
}

/// A limit, as it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// On the open connections of each address.
    ConnsPerAddress(usize),
    /// On all open connections.
    Conns(usize),
    /// On the new connections of each address.
    #[cfg(feature = "rate-limit")]
    RatePerAddress(Rate),
    /// On all new connections.
    #[cfg(feature = "rate-limit")]
    Rate(Rate),
}

// ===== impl Limit =====

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnsPerAddress(limit) => {
                write!(f, "the limit of {limit} open connections of one address")
            }
            Self::Conns(limit) => write!(f, "the limit of {limit} open connections"),
            #[cfg(feature = "rate-limit")]
            Self::RatePerAddress(rate) => {
                write!(f, "the limit of new connections of one address, {rate}")
            }
            #[cfg(feature = "rate-limit")]
            Self::Rate(rate) => write!(f, "the limit of new connections, {rate}"),
        }
    }
}
