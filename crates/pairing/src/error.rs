use std::io;

use couplet_endpoint::BoxError;
use thiserror::Error;

/// The pairing has ended: its stream of pairs was dropped, or no more pairs can come.
#[derive(Debug, Error)]
#[error("pairing has ended")]
pub struct PairingEnded(pub(crate) ());

/// A connection got no partner.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PairError {
    /// See [`PairingEnded`].
    #[error("pairing ended before a partner came")]
    Ended(#[from] PairingEnded),
    /// The partner could not be dialled, or was refused by its side's stack.
    #[error("partner not reached")]
    Partner {
        /// The reason.
        source: BoxError,
    },
    /// The partner that the client asked for, with a [reply](crate::DialReply) to come, could not be
    /// dialled, or was refused by its side's stack.
    #[error("target of the client not reached")]
    Asked {
        /// What failed.
        source: BoxError,
    },
    /// The partner was not there yet when the slot was needed: all were taken, most by connections of this
    /// peer's network, and a client of another came; or one of which nothing was known waited, and this
    /// one had been dialled for for 3 s.
    #[error(
        "dial gave way to a newcomer: all dials are in use, most of them by this peer's network"
    )]
    GaveWay,
    /// The partner was there, but the connection failed or did not take the
    /// [reply](crate::DialReply) that it waited for.
    #[error("reply to the dial not taken")]
    Reply(#[source] io::Error),
}

// ===== impl PairError =====

impl PairError {
    pub(crate) fn partner(source: BoxError) -> Self {
        Self::Partner { source }
    }
}
