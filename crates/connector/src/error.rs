use std::{error::Error as StdError, fmt, sync::Arc};

use couplet_endpoint::{BoxError, Side};
use thiserror::Error;

/// A connector could not do what it was made for.
///
/// A server that refuses connections, or can't dial a partner for some, goes on and logs it. This
/// is for what ends a connector: an endpoint that fails, or a failure where there was to be one
/// pair only.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// A side's endpoint failed: it could not be dialled, or can't accept any more.
    #[error("side {side} failed")]
    Side {
        /// Which side.
        side: Side,
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// There was to be one pair, and a connection for it was refused or found no partner.
    #[error("the pair could not be made")]
    Pair {
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// There was to be one pair, and a connection for it went away before it was made.
    #[error("a connection went away before it was joined")]
    NoPair,
}

// ===== impl ConnectorError =====

impl ConnectorError {
    pub(crate) fn side(side: Side, source: BoxError) -> Self {
        Self::Side {
            side,
            source: source.into(),
        }
    }

    pub(crate) fn pair(source: BoxError) -> Self {
        Self::Pair {
            source: source.into(),
        }
    }
}

/// Shows an error and all it was caused by, on one line.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn StdError + 'static));

// ===== impl Causes =====

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}
