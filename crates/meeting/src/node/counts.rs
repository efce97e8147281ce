use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts the events between a node, the match-maker and other nodes. Cheap to clone; clones share their
/// counters.
#[derive(Clone, Debug, Default)]
pub struct MeetingCounts(Arc<[AtomicU64; Count::ALL.len()]>);

/// One of the [`MeetingCounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Count {
    /// Requests that the match-maker answered.
    Answered,
    /// Requests that the match-maker did not answer, or with an error.
    Failed,
    /// Offers that found no room at the match-maker.
    Full,
    /// Clients of this node joined with a client whose node was dialled.
    JoinedThere,
    /// Clients of this node joined with a client whose node dialled.
    JoinedHere,
    /// Clients of this node that were sent to the node of their partner.
    Redirected,
    /// Requests to other nodes over a connection that was kept ready.
    KeptReady,
    /// Tickets whose client had left at another node.
    GoneThere,
    /// Tickets of other nodes whose client had left here.
    GoneHere,
    /// Clients of this node that were taken in vain, and were offered again.
    Retried,
    /// Other nodes that could not be dialled, or did not answer in time.
    Unreachable,
    /// Other nodes that reserved a client here and did not present the ticket.
    Unclaimed,
    /// Connections to the cluster port that were refused.
    Denied,
}

// ===== impl MeetingCounts =====

impl MeetingCounts {
    /// The number of these events so far.
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: Count) {
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }
}

// ===== impl Count =====

impl Count {
    /// All counts.
    pub const ALL: &'static [Self; 13] = &[
        Self::Answered,
        Self::Failed,
        Self::Full,
        Self::JoinedThere,
        Self::JoinedHere,
        Self::Redirected,
        Self::KeptReady,
        Self::GoneThere,
        Self::GoneHere,
        Self::Retried,
        Self::Unreachable,
        Self::Unclaimed,
        Self::Denied,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Full => "full",
            Self::JoinedThere => "joined_there",
            Self::JoinedHere => "joined_here",
            Self::Redirected => "redirected",
            Self::KeptReady => "kept_ready",
            Self::GoneThere => "gone_there",
            Self::GoneHere => "gone_here",
            Self::Retried => "retried",
            Self::Unreachable => "unreachable",
            Self::Unclaimed => "unclaimed",
            Self::Denied => "denied",
        }
    }
}
