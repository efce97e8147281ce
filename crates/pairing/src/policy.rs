use std::time::Duration;

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

    /// How many connections of a side wait at a time; 1024 by default. While as many wait, the
    /// side's endpoint accepts or dials no more.
    ///
    /// In [`rendezvous_keyed`](crate::rendezvous_keyed) it is how many may wait without a partner, of
    /// all sides and keys; one more is refused, or takes another's slot. In
    /// [`dial_for_a`](crate::dial_for_a) it is how many partners are dialled at a time.
    ///
    /// # Panics
    ///
    /// If it is 0: nothing would ever be joined.
    #[must_use]
    pub const fn max_waiting(mut self, connections: usize) -> Self {
        assert!(
            connections > 0,
            "`max_waiting` is 0: at least one has to wait"
        );
        self.max_waiting = connections;
        self
    }

    /// How long a connection of a [`rendezvous`](crate::rendezvous) waits for its partner;
    /// 5 minutes by default, `None` for ever.
    #[must_use]
    pub const fn wait(mut self, wait: Option<Duration>) -> Self {
        self.wait = wait;
        self
    }

    /// How many bytes are read ahead from a connection that sends while it waits in a
    /// [`rendezvous`](crate::rendezvous); 16 KiB by default. The rest stays with the kernel, whose
    /// full receive buffer holds the sender up. At least one byte is read, because only reading tells
    /// whether the peer is alive.
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
