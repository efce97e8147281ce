use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    key::Client,
    table::{Permit, Table},
};

/// What becomes of a connection that is over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Over {
    /// It is closed.
    #[default]
    Refuse,
    /// It waits, for a time and with so many others, until the limit lets it in; else it is closed.
    Queue(Queue),
}

/// How many connections over a limit may wait, and how long.
///
/// Who came first is let in first, among those whom the limit is for. A peer that goes away while it
/// waits is noticed when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    bound: usize,
    per_address: usize,
    timeout: Duration,
}

/// Those who wait at one limit.
#[derive(Clone, Debug)]
pub(super) struct Line {
    queue: Queue,
    all: Arc<Semaphore>,
    per_address: Arc<Table>,
}

/// A place in the line.
#[derive(Debug)]
pub(super) struct InLine {
    _all: OwnedSemaphorePermit,
    _of_address: Permit,
}

// ===== impl Queue =====

impl Queue {
    /// At most 1024, of them 32 of one address, for 10 seconds.
    pub const fn new() -> Self {
        Self {
            bound: 1024,
            per_address: 32,
            timeout: Duration::from_secs(10),
        }
    }

    /// How many may wait at a time.
    #[must_use]
    pub const fn bound(mut self, bound: usize) -> Self {
        self.bound = bound;
        self
    }

    /// How many of one address may.
    #[must_use]
    pub const fn per_address(mut self, bound: usize) -> Self {
        self.per_address = bound;
        self
    }

    /// How long each may.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

// ===== impl Line =====

impl Line {
    pub(super) fn new(queue: Queue) -> Self {
        let bound = queue.bound.min(Semaphore::MAX_PERMITS);
        Self {
            queue,
            all: Arc::new(Semaphore::new(bound)),
            per_address: Arc::new(Table::new(queue.per_address)),
        }
    }

    /// `None` where as many wait as may.
    pub(super) fn enter(&self, client: Client) -> Option<InLine> {
        let of_address = self.per_address.enter(client).try_acquire()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(InLine {
            _all: all,
            _of_address: of_address,
        })
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.queue.timeout
    }
}
