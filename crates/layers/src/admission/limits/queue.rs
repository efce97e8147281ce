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

/// What becomes of a connection that is over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Over {
    /// The connection is closed.
    #[default]
    Refuse,
    /// The connection waits, for a time and with so many others, until the limit lets it in; else it
    /// is closed.
    Queue(Queue),
}

/// How many connections over a limit may wait, and how long.
///
/// Addresses take turns: of each, the connection that came first is next, so an address with many
/// connections in the queue delays no other by more than one. When the queue is full, the address
/// with the most connections in it gives up its oldest for a newcomer whose address has fewer. A
/// client that leaves the queue is noticed at once: a reset, or an end of stream before any byte;
/// one that sends up to 4 KiB and then ends its stream stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    bound: usize,
    per_address: usize,
    timeout: Duration,
}

/// The connections that wait at one limit.
#[derive(Clone, Debug)]
pub(super) struct Line {
    queue: Queue,
    places: Arc<Mutex<Places>>,
    /// Of each address, the one that is next.
    turns: Arc<Table>,
}

#[derive(Debug, Default)]
struct Places {
    shares: FairShare,
    /// Tells a connection that it has to give up its place.
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
    /// At most 1024 connections, of them 32 of one address, for 10 seconds.
    pub const fn new() -> Self {
        Self {
            bound: 1024,
            per_address: 32,
            timeout: Duration::from_secs(10),
        }
    }

    /// How many connections may wait at a time.
    ///
    /// # Panics
    ///
    /// If the bound is 0: [`Over::Refuse`] lets none wait.
    #[must_use]
    pub const fn bound(mut self, bound: usize) -> Self {
        assert!(bound > 0, "a queue has room for one connection at least");
        self.bound = bound;
        self
    }

    /// How many connections of one address may wait at a time.
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

    /// How long each connection may wait.
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

    /// A place, that of another connection if there is no room; none if that would not be fair.
    pub(super) fn enter(&self, info: &Info) -> Option<InLine> {
        let network = PeerNetwork::of(info.peer.map(|peer| peer.ip()));
        let mut places = lock(&self.places);
        if places.shares.held_by(network) >= self.queue.per_address {
            return None;
        }
        if places.evict.len() >= self.queue.bound {
            let gives_way = places.shares.gives_way_to(network)?;
            // Its place is free when it has heard; this one is taken at once.
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

    /// Does a connection of this client wait?
    pub(super) fn has(&self, client: Client) -> bool {
        self.turns.has(client)
    }

    /// Waits until the connections of this client that came before are past the limit. In line from
    /// the call on; cancel-safe.
    pub(super) fn turn(&self, client: Client) -> impl Future<Output = Permit> + Send + 'static {
        self.turns.enter(client).acquire()
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.queue.timeout
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    // Places are whole, whatever panicked.
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
