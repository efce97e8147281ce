use std::fmt;

/// The counts at the time of a [snapshot](super::Stats::snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Side A.
    pub a: SideSnapshot,
    /// Side B.
    pub b: SideSnapshot,
    /// Live pairs.
    pub live_pairs: usize,
    /// All pairs so far, the live ones included.
    pub total_pairs: u64,
    /// Pairs that ended before the relay began: refused by a step before the join, or because one peer
    /// had left.
    pub refused_pairs: u64,
    /// Bytes delivered from A to B, by live and ended pairs.
    pub a_to_b: u64,
    /// Bytes delivered from B to A, by live and ended pairs.
    pub b_to_a: u64,
}

/// One side of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SideSnapshot {
    /// Connections accepted or dialled.
    pub connections: u64,
    /// Connections closed before the join: refused by a layer or the pairing, or without a partner that
    /// could be dialled.
    pub refused: u64,
    /// Connections that wait for a partner now.
    pub waiting: u64,
    /// Connections whose peer went away while they waited.
    pub died_waiting: u64,
    /// Connections closed because no partner came in time.
    pub expired: u64,
    /// Addresses of the peers; counted up to 1024.
    pub addresses: usize,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "pairs: {} live, {} in all, {} refused; {} bytes A to B, {} bytes B to A",
            self.live_pairs, self.total_pairs, self.refused_pairs, self.a_to_b, self.b_to_a
        )?;
        writeln!(f, "A: {}", self.a)?;
        write!(f, "B: {}", self.b)
    }
}

impl fmt::Display for SideSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections from {} addresses; {} waiting, {} refused, {} died waiting, {} expired",
            self.connections,
            self.addresses,
            self.waiting,
            self.refused,
            self.died_waiting,
            self.expired
        )
    }
}
