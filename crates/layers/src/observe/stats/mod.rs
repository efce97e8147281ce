//! Counts connections, live pairs, and bytes in each direction.
//!
//! A [`Stats`] is a handle for three layers, and makes [snapshots](Stats::snapshot): a
//! [`SideStatsLayer`] on each side stack counts connections, refusals and addresses; [`StatsLayer`] on
//! the pair stack counts pairs and lists the live sessions. With [`watch`](Stats::watch) it also counts
//! waiting connections.
//!
//! **Where:** at the top of each stack, so that refusals below count. **Splice:** costs none, because the
//! bytes are those of the sessions' meters. **Memory:** a map entry a live pair; at most 1024 addresses a
//! side.
//!
//! ```
//! use couplet_layers::{IdleTimeoutLayer, Stats, StatsLayer};
//! use couplet_relay::Relay;
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//!
//! let stats = Stats::new();
//! let pair_stack = ServiceBuilder::new()
//!     .layer(StatsLayer::new(stats.clone()))
//!     .layer(IdleTimeoutLayer::new(Duration::from_secs(3600)))
//!     .service(Relay::new());
//! println!("{}", stats.snapshot());
//! ```

mod pair;
mod side;
mod snapshot;
#[cfg(test)]
mod tests;

pub use self::{
    pair::{StatsFuture, StatsLayer, StatsService},
    side::{SideStatsFuture, SideStatsLayer, SideStatsService},
    snapshot::{SideSnapshot, Snapshot},
};

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use couplet_endpoint::Side;
use couplet_pairing::{Session, SessionId, WaitingCounts};

use self::side::SideStats;

/// Counts what its layers see. Cheap to clone; clones are the same. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sides: [SideStats; 2],
    waiting: OnceLock<WaitingCounts>,
    pairs: Mutex<Pairs>,
}

#[derive(Debug, Default)]
struct Pairs {
    live: HashMap<SessionId, Session>,
    total: u64,
    /// Of those that have ended, how many never were joined.
    refused: u64,
    /// The bytes of those that have ended.
    a_to_b: u64,
    b_to_a: u64,
}

// ===== impl Stats =====

impl Stats {
    /// With nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows from now on the waiting connections of this pairing. The first call counts.
    pub fn watch(&self, waiting: WaitingCounts) {
        let _ = self.0.waiting.set(waiting);
    }

    /// The counts of waiting connections, and of refused ones by reason; nothing unless
    /// [watched](Self::watch).
    pub fn waiting(&self) -> Option<&WaitingCounts> {
        self.0.waiting.get()
    }

    /// How it stands now. Costs a look at each live session.
    pub fn snapshot(&self) -> Snapshot {
        let pairs = self.pairs();
        let live = |from| -> u64 {
            let bytes = pairs
                .live
                .values()
                .map(|session| session.meter().bytes(from));
            bytes.sum()
        };
        Snapshot {
            a: self.side_snapshot(Side::A),
            b: self.side_snapshot(Side::B),
            live_pairs: pairs.live.len(),
            total_pairs: pairs.total,
            refused_pairs: pairs.refused,
            a_to_b: pairs.a_to_b + live(Side::A),
            b_to_a: pairs.b_to_a + live(Side::B),
        }
    }

    /// The sessions that are live now, the oldest first.
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.pairs().live.values().cloned().collect();
        sessions.sort_unstable_by_key(Session::id);
        sessions
    }

    /// The session with this id, if it is live now.
    pub fn session(&self, id: SessionId) -> Option<Session> {
        self.pairs().live.get(&id).cloned()
    }

    /// How many pairs are live now.
    pub fn live_pairs(&self) -> usize {
        self.pairs().live.len()
    }

    /// The peers' addresses seen on a side, each with its number of connections; at most 1024, the
    /// first that came.
    pub fn addresses(&self, side: Side) -> Vec<(IpAddr, u64)> {
        self.side(side).addresses()
    }

    fn side(&self, side: Side) -> &SideStats {
        &self.0.sides[side as usize]
    }

    fn side_snapshot(&self, side: Side) -> SideSnapshot {
        let waiting = self.0.waiting.get();
        SideSnapshot {
            connections: self.side(side).connections(),
            refused: self.side(side).refused()
                + waiting.map_or(0, |counts| counts.refused_total(side)),
            waiting: waiting.map_or(0, |counts| counts.waiting(side)),
            died_waiting: waiting.map_or(0, |counts| counts.died(side)),
            expired: waiting.map_or(0, |counts| counts.expired(side)),
            addresses: self.side(side).addresses_seen(),
        }
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        // Whatever panicked, the counts are whole.
        self.0.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
