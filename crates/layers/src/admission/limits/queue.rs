use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use couplet_endpoint::Info;
use couplet_pairing::{FairShare, PeerNetwork};
use tokio::sync::oneshot;

use super::{
    key::Client,
    table::{Permit, Table},
};

/// The treatment of a connection over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Over {
    /// The connection is closed.
    #[default]
    Refuse,
    /// The connection waits until the limit allows it, and is closed at the queue's deadline.
    Queue(Queue),
}

/// The size and the deadline of a queue of connections over a limit.
///
/// Addresses take turns, each with its oldest connection, so an address with many connections in the
/// queue delays another by one at most. When the queue is full, the address with the most connections
/// gives up its oldest for a newcomer of an address with fewer. A client that leaves (a reset, or an end
/// of stream before any byte) is noticed at once. A client that sends up to 4 KiB and then ends its
/// stream stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    bound: usize,
    per_address: usize,
    timeout: Duration,
}

/// The connections in the queue of one limit.
#[derive(Clone, Debug)]
pub(super) struct Line {
    queue: Queue,
    places: Arc<Mutex<Places>>,
    /// For each address, the connection that is next.
    turns: Arc<Table>,
}

#[derive(Debug, Default)]
struct Places {
    shares: FairShare,
    /// Tells a connection to give up its place.
    evict: HashMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// A place in the line.
#[derive(Debug)]
pub(super) struct InLine {
    places: Arc<Mutex<Places>>,
    network: PeerNetwork,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

// ===== impl Queue =====

impl Queue {
    /// A queue of at most 1024 connections, of them 32 of one address, with a deadline of 10 seconds.
    pub const fn new() -> Self {
        Self {
            bound: 1024,
            per_address: 32,
            timeout: Duration::from_secs(10),
        }
    }

    /// The most connections that wait at a time.
    ///
    /// # Panics
    ///
    /// If the bound is 0; for that there is [`Over::Refuse`].
    #[must_use]
    pub const fn bound(mut self, bound: usize) -> Self {
        assert!(bound > 0, "a queue has room for one connection at least");
        self.bound = bound;
        self
    }

    /// The most connections of one address that wait at a time.
    ///
    /// # Panics
    ///
    /// If the bound is 0.
    #[must_use]
    pub const fn per_address(mut self, bound: usize) -> Self {
        assert!(bound > 0, "an address has room for one connection at least");
        self.per_address = bound;
        self
    }

    /// The longest time that a connection waits.
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
        Self {
            queue,
            places: Arc::default(),
            turns: Arc::new(Table::new(1)),
        }
    }

    /// Takes a place, in a full queue that of another connection; `None` if that would not be fair.
    pub(super) fn enter(&self, info: &Info) -> Option<InLine> {
        let network = info.peer_network();
        let mut places = lock(&self.places);
        if places.shares.held_by(network) >= self.queue.per_address {
            return None;
        }
        if places.evict.len() >= self.queue.bound {
            let gives_way = places.shares.gives_way_to(network)?;
            // The other's place is free when that task has run; this one is taken now.
            let _ = places.evict.remove(&gives_way)?.send(());
        }
        let number = places.next;
        places.next += 1;
        let (evict, evicted) = oneshot::channel();
        places.evict.insert(number, evict);
        places.shares.enter(network, number);
        Some(InLine {
            places: Arc::clone(&self.places),
            network,
            number,
            evicted,
        })
    }

    /// Whether a connection of this client waits.
    pub(super) fn has(&self, client: Client) -> bool {
        self.turns.has(client)
    }

    /// Waits for the earlier connections of this client. In the queue from the call on; cancel-safe.
    pub(super) fn turn(&self, client: Client) -> impl Future<Output = Permit> + Send + 'static {
        self.turns.enter(client).acquire()
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.queue.timeout
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    // Each change leaves the places whole, so a poisoned lock does no harm.
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

// ===== impl InLine =====

impl InLine {
    /// Waits until the place has to be given up. Cancel-safe.
    pub(super) async fn evicted(&mut self) {
        // The sender is there until it sends.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut places = lock(&self.places);
        places.evict.remove(&self.number);
        places.shares.leave(self.network, self.number);
    }
}
