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

mod cause;
mod cause_of;
mod counted;
mod dials;
mod histogram;
mod labels;
mod pair;
mod side;
mod snapshot;
#[cfg(test)]
mod tests;

pub use self::{
    cause::RefusalCause,
    dials::DialOutcome,
    histogram::Histogram,
    pair::{StatsFuture, StatsLayer, StatsService},
    side::{SideStatsFuture, SideStatsLayer, SideStatsService},
    snapshot::{SideSnapshot, Snapshot},
};

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use couplet_endpoint::{AcceptErrorKind, AcceptErrors, Side};
use couplet_pairing::{CloseReason, Moved, Refusal, Session, SessionId, WaitingCounts};

use self::{counted::Pairs, side::SideStats};

/// Counts what its layers see. Cheap to clone; clones are the same. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sides: [SideStats; 2],
    waiting: OnceLock<WaitingCounts>,
    /// Of the pairings that came after that one.
    later: RwLock<Vec<WaitingCounts>>,
    pairs: Mutex<Pairs>,
    moved: Moved,
}

// ===== impl Stats =====

impl Stats {
    /// Statistics that begin at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Includes the waiting connections of this pairing from now on. The first call counts.
    pub fn watch(&self, waiting: WaitingCounts) {
        let _ = self.0.waiting.set(waiting);
    }

    /// Includes the waiting connections of a further pairing, which came after the
    /// [watched](Self::watch) one.
    pub fn watch_also(&self, waiting: WaitingCounts) {
        if let Err(waiting) = self.0.waiting.set(waiting) {
            let mut later = self.0.later.write().unwrap_or_else(PoisonError::into_inner);
            later.push(waiting);
        }
    }

    /// Whether the two share their counters.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The counts of waiting connections, and of refused ones by reason; nothing unless
    /// [watched](Self::watch). Without those of [later](Self::watch_also) pairings.
    pub fn waiting(&self) -> Option<&WaitingCounts> {
        self.0.waiting.get()
    }

    /// A copy of the counters. Does not walk the sessions.
    pub fn snapshot(&self) -> Snapshot {
        let moved = &self.0.moved;
        let pairs = self.pairs();
        Snapshot {
            a: self.side_snapshot(Side::A),
            b: self.side_snapshot(Side::B),
            live_pairs: pairs.live.len(),
            total_pairs: pairs.total,
            refused_pairs: pairs.refused,
            a_to_b: moved.bytes(Side::A),
            b_to_a: moved.bytes(Side::B),
        }
    }

    /// The bytes of all pairs, the live ones and those that have ended.
    pub fn moved(&self) -> &Moved {
        &self.0.moved
    }

    /// The number of pairs that ended in each [`termination_state`](CloseReason::termination_state).
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let ended = self.pairs().ended.clone();
        CloseReason::STATES.iter().copied().zip(ended)
    }

    /// The durations of the pairs that have ended.
    pub fn durations(&self) -> Histogram {
        self.pairs().durations.clone()
    }

    /// The time that paired connections took through the stack of a side.
    pub fn handshakes(&self, side: Side) -> Histogram {
        self.pairs().handshakes[side as usize].clone()
    }

    /// The time that paired connections of a side then waited for their partner, to come or to be dialled.
    pub fn waits(&self, side: Side) -> Histogram {
        self.pairs().waits[side as usize].clone()
    }

    /// The number of connections of a side that are in its stack now.
    pub fn arriving(&self, side: Side) -> u64 {
        self.side(side).arriving()
    }

    /// The number of connections of a side that were not joined, by cause: those of [`refuse`](Self::refuse), and
    /// those that the [watched](Self::watch) pairing refused.
    pub fn refusals(&self, side: Side) -> Vec<(RefusalCause, u64)> {
        let mut refusals = self.side(side).refusals();
        for waiting in self.all_waiting() {
            let gone = (RefusalCause::Gone, waiting.died(side));
            let refused = Refusal::ALL.iter();
            let refused =
                refused.map(|refusal| ((*refusal).into(), waiting.refused(side, *refusal)));
            for (cause, count) in refused.chain([gone]) {
                refusals[cause as usize].1 += count;
            }
        }
        refusals
    }

    /// Counts a connection of a side that was not joined, with its cause. A connector does so where it
    /// writes the log line.
    pub fn refuse(&self, side: Side, cause: RefusalCause) {
        self.side(side).refuse(cause);
    }

    /// Includes the accepts of a side that fail from now on. A listener that came after another counts on where that
    /// one was.
    pub fn watch_accepts(&self, side: Side, errors: &AcceptErrors) {
        errors.continues(self.side(side).accepts.get_or_init(|| errors.clone()));
    }

    /// The number of accepts of a side that failed, by kind; nothing unless [watched](Self::watch_accepts).
    pub fn accept_errors(&self, side: Side) -> Vec<(AcceptErrorKind, u64)> {
        let errors = self.side(side).accepts.get();
        errors.into_iter().flat_map(AcceptErrors::counts).collect()
    }

    /// The number of dials of a side, by outcome.
    pub fn dials(&self, side: Side) -> Vec<(DialOutcome, u64)> {
        self.side(side).dials.outcomes()
    }

    /// The durations of the dials of a side, also of those that failed.
    pub fn dial_durations(&self, side: Side) -> Histogram {
        self.side(side).dials.took()
    }

    /// Counts a dial of a side. A connector does so for each connection that it dials a partner for.
    pub fn dialled(&self, side: Side, outcome: DialOutcome, took: Duration) {
        self.side(side).dials.add(outcome, took);
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

    /// A connector begins that succeeds another: the pairs that are live now are those of a generation before.
    pub fn begin_generation(&self) {
        self.pairs().begin_generation();
    }

    /// Whether this live session is of a generation before.
    pub fn is_older(&self, session: SessionId) -> bool {
        self.pairs().is_older(session)
    }

    /// The number of live pairs: those of the present generation, and those of generations before.
    pub fn generations(&self) -> [usize; 2] {
        let pairs = self.pairs();
        [pairs.live.len() - pairs.older, pairs.older]
    }

    /// The number of distinct keys with which connections wait, of a [watched](Self::watch) pairing by key.
    pub fn keys(&self) -> u64 {
        self.all_waiting().iter().map(WaitingCounts::keys).sum()
    }

    /// The number of live pairs.
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
        let waiting = self.all_waiting();
        let sum = |of: fn(&WaitingCounts, Side) -> u64| -> u64 {
            waiting.iter().map(|counts| of(counts, side)).sum()
        };
        SideSnapshot {
            connections: self.side(side).connections(),
            refused: self.side(side).refused() + sum(WaitingCounts::refused_total),
            waiting: sum(WaitingCounts::waiting),
            died_waiting: sum(WaitingCounts::died),
            expired: sum(WaitingCounts::expired),
            addresses: self.side(side).addresses_seen(),
        }
    }

    fn all_waiting(&self) -> Vec<WaitingCounts> {
        let later = self.0.later.read().unwrap_or_else(PoisonError::into_inner);
        self.0
            .waiting
            .get()
            .into_iter()
            .chain(&*later)
            .cloned()
            .collect()
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        // Whatever panicked, the counts are whole.
        self.0.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
