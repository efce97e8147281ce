use std::time::Duration;

use couplet_endpoint::GivesWay;

/// When all slots are taken, the connection gives way that has waited longest, of the network that holds
/// most; to a newcomer that is still in the system's queue only after a time in which most partners come.
pub(crate) const GIVES_WAY: GivesWay = GivesWay::Oldest {
    after: Duration::from_secs(3),
};

/// The bounds of a pairing.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub(crate) max_waiting: usize,
    pub(crate) wait: Option<Duration>,
    pub(crate) early: usize,
}

// ===== impl Policy =====

impl Policy {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            max_waiting: 1024,
            wait: Some(Duration::from_secs(5 * 60)),
            early: 16 * 1024,
        }
    }

    /// Bounds the waiting connections of a side. 1024 by default. At the bound, the side's endpoint
    /// accepts and dials no more. But no address takes all slots: where one holds most of them, a client
    /// of an address with fewer is accepted all the same, and the oldest connection of the first
    /// gives way ([`FairSlots`](couplet_endpoint::FairSlots)). While nothing is known of the next client,
    /// because it is still in the system's queue, that happens to a connection that has waited for 3 s.
    ///
    /// In [`rendezvous_keyed`](crate::rendezvous_keyed) this bounds the connections without a partner, of
    /// all sides and keys; a further one is refused, or takes the slot of another. In
    /// [`dial_for_a`](crate::dial_for_a) this bounds the dials at a time.
    ///
    /// # Panics
    ///
    /// If the bound is 0, with which no pair would ever be joined.
    #[must_use]
    pub const fn max_waiting(mut self, connections: usize) -> Self {
        assert!(
            connections > 0,
            "`max_waiting` is 0: at least one has to wait"
        );
        self.max_waiting = connections;
        self
    }

    /// The time that a connection of a [`rendezvous`](crate::rendezvous) waits for a partner. 5 minutes by
    /// default, `None` for ever.
    #[must_use]
    pub const fn wait(mut self, wait: Option<Duration>) -> Self {
        self.wait = wait;
        self
    }

    /// The most bytes that are read ahead from a connection that waits in a
    /// [`rendezvous`](crate::rendezvous). 16 KiB by default. The rest stays in the kernel, whose
    /// back-pressure holds the sender up. At least one byte is read, because only a read shows whether the
    /// peer is alive.
    #[must_use]
    pub const fn early(mut self, bytes: usize) -> Self {
        self.early = bytes;
        self
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}
