use std::time::Duration;

/// The bounds of a pairing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// How many connections of a side may wait at a time; 1024 by default. Once they are taken,
    /// the side's endpoint accepts or dials no more until one is free. In
    /// [`rendezvous_keyed`](crate::rendezvous_keyed) it is how many may wait without a partner, of
    /// all sides and keys, and what comes beyond them is refused.
    pub places: usize,
    /// How long a connection waits for its partner, in a [`rendezvous`](crate::rendezvous) alone;
    /// 5 minutes by default, `None` for ever.
    pub wait: Option<Duration>,
    /// How many bytes are read ahead from a connection that speaks while it waits,
    /// in a [`rendezvous`](crate::rendezvous) alone; 16 KiB by default. The rest stays with the system,
    /// which holds the sender up.
    pub early: usize,
}

// ===== impl Policy =====

impl Policy {
    /// The same with another number of places a side.
    #[must_use]
    pub const fn places(mut self, places: usize) -> Self {
        self.places = places;
        self
    }

    /// The same with another time to wait; `None` for ever.
    #[must_use]
    pub const fn wait(mut self, wait: Option<Duration>) -> Self {
        self.wait = wait;
        self
    }

    /// The same with another bound for bytes that come early. At least one byte is read, because
    /// nothing else tells whether the peer is alive.
    #[must_use]
    pub const fn early(mut self, bytes: usize) -> Self {
        self.early = bytes;
        self
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            places: 1024,
            wait: Some(Duration::from_secs(5 * 60)),
            early: 16 * 1024,
        }
    }
}
