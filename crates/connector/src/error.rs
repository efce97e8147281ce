use std::{error::Error as StdError, sync::Arc};

use couplet_endpoint::Side;

/// The failure that ended a connector.
///
/// A refused connection, or a failed dial of a partner, is logged and ends no connector. A failed endpoint
/// does, and so does any failure where only one pair was expected
/// ([`once`](crate::Connector::once)).
#[derive(Clone, Debug, derive_more::Display)]
#[non_exhaustive]
pub enum ConnectorError {
    /// A side failed: the dial failed, the listener can't accept any more, or a layer of the stack did not
    /// become ready or panicked.
    #[display("side {side} failed")]
    Side {
        /// Which side.
        side: Side,
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The pair stack failed: a layer of it did not become ready, or panicked.
    #[display("pair stack failed")]
    PairStack {
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// One pair was expected, and a connection for it was refused or found no partner.
    #[display("pair not made")]
    Pair {
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// One pair was expected and not made: a connection for it went away, or no partner came in time.
    #[display("pair not made: a connection left, or no partner came in time")]
    NoPair,
    /// The side has no address of its own: it is dialled, or its endpoint has none.
    #[display("side {side} listens on no address")]
    NoLocalAddr {
        /// Which side.
        side: Side,
    },
}

// ===== impl ConnectorError =====

// By hand, so that the source is the error itself, which callers can downcast, and not the `Arc` around
// it.
impl StdError for ConnectorError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Side { source, .. } | Self::PairStack { source } | Self::Pair { source } => {
                Some(&**source)
            }
            Self::NoPair | Self::NoLocalAddr { .. } => None,
        }
    }
}
