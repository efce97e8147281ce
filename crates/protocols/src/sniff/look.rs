//! What can be said of a stream's first bytes.

use super::Protocol;

/// How many bytes are looked at.
pub(super) const LIMIT: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The bytes are of this protocol.
    Is(Protocol),
    /// The bytes may become several protocols. When to look again.
    Perhaps(Until),
    /// The bytes are the beginning of one protocol. When to look again.
    Begun(Until),
}

/// When there is something new to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// When this many bytes have come in all.
    Len(usize),
    /// When another line has ended.
    LineFeed,
}
