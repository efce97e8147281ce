use std::{error::Error as StdError, fmt, sync::Arc};

use couplet_endpoint::{BoxError, Side};

/// A connector could not do what it was made for.
///
/// A server that refuses connections, or can't dial a partner for some, goes on and logs it. This
/// is for what ends a connector: an endpoint that fails, or a failure where there was to be one
/// pair only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectorError {
    /// A side failed: its endpoint could not be dialled or can't accept any more, or a layer of its
    /// stack did not become ready or panicked.
    Side {
        /// Which side.
        side: Side,
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The pair stack failed: a layer of it did not become ready, or panicked.
    PairStack {
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// There was to be one pair, and a connection for it was refused or found no partner.
    Pair {
        /// Why.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// There was to be one pair, and it was not made: a connection for it went away, or no partner
    /// came in time.
    NoPair,
    /// A side has no TCP address of its own to tell: it is dialled, or listens elsewhere.
    NoLocalAddr {
        /// Which side.
        side: Side,
    },
}

// ===== impl ConnectorError =====

impl ConnectorError {
    pub(crate) fn side(side: Side, source: BoxError) -> Self {
        Self::Side {
            side,
            source: source.into(),
        }
    }

    pub(crate) fn pair_stack(source: BoxError) -> Self {
        Self::PairStack {
            source: source.into(),
        }
    }

    pub(crate) fn pair(source: BoxError) -> Self {
        Self::Pair {
            source: source.into(),
        }
    }
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side { side, .. } => write!(f, "side {side} failed"),
            Self::PairStack { .. } => f.write_str("pair stack failed"),
            Self::Pair { .. } => f.write_str("the pair could not be made"),
            Self::NoPair => {
                f.write_str("no pair was made: a connection went away, or no partner came in time")
            }
            Self::NoLocalAddr { side } => write!(f, "side {side} listens on no TCP address"),
        }
    }
}

// By hand, so that the cause is what failed and not the `Arc` around it, which nobody could
// recognise.
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
