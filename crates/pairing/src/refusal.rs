use std::fmt;

/// Why a waiting connection was let go, or one that came was not let wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No partner came in time.
    Expired,
    /// It has no key, or none that is known.
    UnknownKey,
    /// As many wait as may.
    Full,
    /// As many with its key wait as may, or two with its key are joined already.
    Duplicate,
    /// A newer one with its key took its place.
    Replaced,
    /// It had waited longest when room was needed for a newer one.
    Evicted,
    /// It spoke before it was joined.
    Impatient,
    /// Another with its key was joined.
    Redundant,
}

// ===== impl Refusal =====

impl Refusal {
    /// All there are.
    pub(crate) const ALL: [Self; 8] = [
        Self::Expired,
        Self::UnknownKey,
        Self::Full,
        Self::Duplicate,
        Self::Replaced,
        Self::Evicted,
        Self::Impatient,
        Self::Redundant,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "no partner came in time",
            Self::UnknownKey => "no known key",
            Self::Full => "too many wait",
            Self::Duplicate => "too many with its key",
            Self::Replaced => "replaced by a newer one",
            Self::Evicted => "gave way to a newer one",
            Self::Impatient => "spoke before it was joined",
            Self::Redundant => "another with its key was joined",
        })
    }
}
