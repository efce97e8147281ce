use std::fmt;

/// Why the pairing refused a connection, at once or while it waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No partner came within the time to wait.
    Expired,
    /// The connection has no key, or an unknown one.
    UnknownKey,
    /// The bound on waiting connections is reached.
    Full,
    /// The bound on waiting connections with the same key is reached, or two with that key are joined
    /// already.
    Duplicate,
    /// A newer connection with the same key took the place.
    Replaced,
    /// Room was needed for a newer connection, and this one had waited longest.
    Evicted,
    /// The peer sent a byte before the join, where early bytes are refused.
    Impatient,
    /// Two other connections with the same key were joined.
    Redundant,
    /// The partner waits at another node, to which the peer was sent.
    Redirected,
}

// ===== impl Refusal =====

impl Refusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: &[Self] = &[
        Self::Expired,
        Self::UnknownKey,
        Self::Full,
        Self::Duplicate,
        Self::Replaced,
        Self::Evicted,
        Self::Impatient,
        Self::Redundant,
        Self::Redirected,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "no partner came in time",
            Self::UnknownKey => "no key, or an unknown one",
            Self::Full => "too many connections wait",
            Self::Duplicate => "too many connections with the same key",
            Self::Replaced => "replaced by a newer connection with the same key",
            Self::Evicted => "gave way to a newer connection",
            Self::Impatient => "sent a byte before it was joined",
            Self::Redundant => "others with the same key were joined",
            Self::Redirected => "sent to the node where its partner waits",
        })
    }
}
