use std::time::Duration;

use couplet_endpoint::BoxError;
use thiserror::Error;

/// A handshake did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It was refused, or its connection failed.
    #[error("handshake failed")]
    Failed {
        /// Why.
        source: BoxError,
    },
    /// It was not done in time.
    #[error("handshake not done within {0:?}")]
    Timeout(Duration),
}
