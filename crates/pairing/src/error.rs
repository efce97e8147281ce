use couplet_endpoint::BoxError;
use thiserror::Error;

/// The pairing has ended: its pairs are not wanted any more, or can't come any more.
#[derive(Debug, Error)]
#[error("the pairing has ended")]
pub struct PairingEnded(pub(crate) ());

/// A connection could not be given a partner.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PairError {
    /// See [`PairingEnded`].
    #[error("no partner for it")]
    Ended(#[from] PairingEnded),
    /// Its partner could not be dialled, or was refused by its side's stack.
    #[error("no partner for it")]
    Partner {
        /// Why.
        source: BoxError,
    },
}

// ===== impl PairError =====

impl PairError {
    pub(crate) fn partner(source: BoxError) -> Self {
        Self::Partner { source }
    }
}
