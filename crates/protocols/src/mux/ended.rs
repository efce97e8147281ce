use couplet_endpoint::{Chain, Info};
use thiserror::Error;
use yamux::ConnectionError;

use super::watch::MuxWatch;

/// How a carrier ended.
#[derive(Debug, Error)]
pub(super) enum Ended {
    /// This end has closed it.
    #[error("carrier no longer needed")]
    Unneeded,
    /// The other end has closed it.
    #[error("carrier closed by the peer")]
    Closed,
    #[error("peer does not speak mux")]
    Foreign,
    #[error("peer is silent, and answers no ping")]
    Silent,
    #[error("peer has gone")]
    Lost,
    #[error(transparent)]
    Failed(ConnectionError),
}

// ===== impl Ended =====

impl Ended {
    pub(super) fn of(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Closed => Self::Closed,
            error => Self::Failed(error),
        }
    }

    /// Says in the log how it ended, and counts it.
    pub(super) fn tell(&self, info: &Info, watch: &MuxWatch) {
        let peer = info.peer_name();
        match self {
            Self::Unneeded | Self::Closed => {
                tracing::info!(%peer, reason = %self, "a carrier has ended");
            }
            Self::Foreign => {
                watch.refused();
                tracing::warn!(%peer, reason = %self, "a carrier is refused");
            }
            Self::Silent => {
                watch.silent();
                tracing::warn!(%peer, reason = %self, "a carrier is given up");
            }
            Self::Lost | Self::Failed(_) => {
                watch.failed();
                tracing::warn!(%peer, reason = %Chain(self), "a carrier is lost");
            }
        }
    }
}
