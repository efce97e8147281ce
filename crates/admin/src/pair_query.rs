//! The filter of live pairs for a list, the page or a cut.

use std::time::Duration;

use couplet_connector::pairing::SessionId;

/// Which pairs, in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PairQuery {
    pub(crate) relay: Option<String>,
    /// Live for this long at least.
    pub(crate) older: Option<Duration>,
    /// Idle for this long at least.
    pub(crate) idle: Option<Duration>,
    /// A part of the text of either address.
    pub(crate) addr: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) generation: Option<Generation>,
    pub(crate) sort: Sort,
    pub(crate) limit: Option<usize>,
    /// Those behind this one, by age.
    pub(crate) after: Option<SessionId>,
    /// Of a cut: all pairs are meant.
    pub(crate) all: bool,
}

/// Whether a reload has changed the relay since a pair was joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    Current,
    Older,
}

/// The order of a list of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The oldest first.
    #[default]
    Age,
    /// The fastest first.
    Rate,
    /// The one that has moved most first.
    Bytes,
    /// The one that has stalled longest first.
    Stall,
    /// The one that has been idle longest first.
    Idle,
}

// ===== impl Sort =====

impl Sort {
    pub(crate) const ALL: [Self; 5] = [Self::Age, Self::Rate, Self::Bytes, Self::Stall, Self::Idle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Rate => "rate",
            Self::Bytes => "bytes",
            Self::Stall => "stall",
            Self::Idle => "idle",
        }
    }
}

// ===== impl Generation =====

impl Generation {
    pub(crate) const ALL: [Self; 2] = [Self::Current, Self::Older];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Older => "older",
        }
    }
}

// ===== impl PairQuery =====

impl PairQuery {
    /// Does something choose among the pairs?
    pub(crate) fn filters(&self) -> bool {
        self.relay.is_some()
            || self.addr.is_some()
            || self.identity.is_some()
            || self.older.is_some()
            || self.idle.is_some()
            || self.generation.is_some()
    }
}
