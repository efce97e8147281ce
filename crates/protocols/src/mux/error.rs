use std::{error::Error as StdError, fmt, sync::Arc};

/// No stream was opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MuxDialError {
    /// The carrier can't be dialled.
    Dial(Arc<dyn StdError + Send + Sync>),
    /// The carrier's handshake failed.
    Handshake(Arc<dyn StdError + Send + Sync>),
    /// The peer opens no stream, over a new carrier too.
    NotOpened,
    /// All carriers have as many streams as they may, and no other may be dialled.
    Full(usize),
}

// ===== impl MuxDialError =====

impl fmt::Display for MuxDialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(_) => f.write_str("carrier not dialled"),
            Self::Handshake(_) => f.write_str("handshake of the carrier failed"),
            Self::NotOpened => f.write_str("peer opens no stream: it must have `mux`, too"),
            Self::Full(carriers) => {
                write!(
                    f,
                    "carriers full: all {carriers} have as many streams as they may"
                )
            }
        }
    }
}

impl StdError for MuxDialError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // What it is, and not the count of its owners.
            Self::Dial(error) | Self::Handshake(error) => Some(&**error),
            Self::NotOpened | Self::Full(_) => None,
        }
    }
}
