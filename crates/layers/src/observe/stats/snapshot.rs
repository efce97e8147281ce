use std::fmt;

/// How it stood when it was [taken](super::Stats::snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Side A.
    pub a: SideSnapshot,
    /// Side B.
    pub b: SideSnapshot,
    /// How many pairs are live.
    pub live_pairs: usize,
    /// How many pairs there have been, the live ones included.
    pub total_pairs: u64,
    /// How many of them have ended before a byte could be relayed: a step before the join has
    /// refused them, or one of the two had left.
    pub refused_pairs: u64,
    /// How many bytes were delivered from A to B, by the live pairs and those that have ended.
    pub a_to_b: u64,
    /// How many bytes were delivered from B to A, by the live pairs and those that have ended.
    pub b_to_a: u64,
}

/// One side of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SideSnapshot {
    /// How many connections were made: accepted or dialled.
    pub connections: u64,
    /// How many of them were closed before they were joined because a layer refused them,
    /// because no partner could be dialled for them, or because the pairing had no place for them.
    pub refused: u64,
    /// How many wait for a partner now.
    pub waiting: u64,
    /// How many went away while they waited.
    pub died_waiting: u64,
    /// How many were let go because no partner came in time.
    pub expired: u64,
    /// How many addresses they came from; counted up to 1024.
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
