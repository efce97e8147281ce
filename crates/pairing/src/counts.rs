use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use couplet_endpoint::{Info, Refusal, Side};

/// Counts the connections of a pairing before the join, for each side. Cheap to clone; clones show the
/// same counts.
///
/// A connection that is on no side, as may be in [`rendezvous_keyed`](crate::rendezvous_keyed),
/// counts as side A's.
#[derive(Clone, Debug, Default)]
pub struct WaitingCounts(Arc<Shared>);

/// An event of a connection in a pairing, for [`WaitingCounts::observe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitEvent {
    /// The connection waits in a rendezvous from now on.
    Waits,
    /// The connection no longer waits; if it was not joined, another event follows.
    Leaves,
    /// The connection was refused for this reason.
    Refused(Refusal),
    /// The peer left while the connection waited.
    Gone,
}

type Observer = dyn Fn(&Info, WaitEvent) + Send + Sync;

#[derive(Default)]
struct Shared {
    sides: [SideCounts; 2],
    keys: AtomicU64,
    observer: OnceLock<Box<Observer>>,
}

#[derive(Debug, Default)]
pub(crate) struct SideCounts {
    waiting: AtomicU64,
    died: AtomicU64,
    refused: [Refused; Refusal::ALL.len()],
}

#[derive(Debug, Default)]
struct Refused {
    count: AtomicU64,
    /// Microseconds.
    waited: AtomicU64,
}

// ===== impl WaitingCounts =====

impl WaitingCounts {
    /// The connections of this side that wait for a partner now.
    pub fn waiting(&self, side: Side) -> u64 {
        self.side(side).waiting.load(Ordering::Relaxed)
    }

    /// The connections whose peer left while they waited.
    pub fn died(&self, side: Side) -> u64 {
        self.side(side).died.load(Ordering::Relaxed)
    }

    /// The connections closed because no partner came in time.
    pub fn expired(&self, side: Side) -> u64 {
        self.refused(side, Refusal::Expired)
    }

    /// The connections refused for this reason.
    pub fn refused(&self, side: Side, refusal: Refusal) -> u64 {
        let refused = &self.side(side).refused[refusal as usize];
        refused.count.load(Ordering::Relaxed)
    }

    /// The connections refused for any reason but [`Refusal::Expired`].
    pub fn refused_total(&self, side: Side) -> u64 {
        let reasons = Refusal::ALL.iter().copied();
        let reasons = reasons.filter(|refusal| *refusal != Refusal::Expired);
        reasons.map(|refusal| self.refused(side, refusal)).sum()
    }

    /// The total time that the connections refused for this reason waited.
    pub fn waited(&self, side: Side, refusal: Refusal) -> Duration {
        let refused = &self.side(side).refused[refusal as usize];
        Duration::from_micros(refused.waited.load(Ordering::Relaxed))
    }

    /// The distinct keys with which connections wait; 0 without keys.
    pub fn keys(&self) -> u64 {
        self.0.keys.load(Ordering::Relaxed)
    }

    pub(crate) fn set_keys(&self, keys: usize) {
        self.0.keys.store(keys as u64, Ordering::Relaxed);
    }

    /// Calls this function for each connection that begins or ceases to wait, from now on. Has an effect only in
    /// a rendezvous; where a partner is dialled, connections are only counted. The first call counts.
    ///
    /// The function runs in the task that joins all connections, so it must return soon.
    pub fn observe(&self, observer: impl Fn(&Info, WaitEvent) + Send + Sync + 'static) {
        let _ = self.0.observer.set(Box::new(observer));
    }

    pub(crate) fn side(&self, side: Side) -> &SideCounts {
        &self.0.sides[side as usize]
    }

    pub(crate) fn tell_entered(&self, info: &Info) {
        self.of(info).entered();
        self.tell(info, WaitEvent::Waits);
    }

    pub(crate) fn tell_left(&self, info: &Info) {
        self.of(info).left();
        self.tell(info, WaitEvent::Leaves);
    }

    pub(crate) fn tell_died(&self, info: &Info) {
        self.of(info).died();
        self.tell(info, WaitEvent::Gone);
    }

    pub(crate) fn tell_refused(&self, info: &Info, refusal: Refusal, waited: Duration) {
        self.of(info).refused(refusal, waited);
        self.tell(info, WaitEvent::Refused(refusal));
    }

    /// The counts of a connection's side.
    fn of(&self, info: &Info) -> &SideCounts {
        self.side(info.side.unwrap_or(Side::A))
    }

    fn tell(&self, info: &Info, event: WaitEvent) {
        if let Some(observer) = self.0.observer.get() {
            // The task that calls serves all connections: an observer's panic is the observer's alone.
            let _ = catch_unwind(AssertUnwindSafe(|| observer(info, event)));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sides.fmt(f)
    }
}

// ===== impl SideCounts =====

impl SideCounts {
    pub(crate) fn entered(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn died(&self) {
        self.died.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal, waited: Duration) {
        let refused = &self.refused[refusal as usize];
        refused.count.fetch_add(1, Ordering::Relaxed);
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        refused.waited.fetch_add(waited, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself() {
        let counts = WaitingCounts::default();
        for (n, refusal) in Refusal::ALL.iter().copied().enumerate() {
            assert_eq!(refusal as usize, n);
            for _ in 0..=n {
                counts
                    .side(Side::B)
                    .refused(refusal, Duration::from_millis(1500));
            }
        }
        for (n, refusal) in (1..).zip(Refusal::ALL.iter().copied()) {
            assert_eq!(counts.refused(Side::B, refusal), u64::from(n));
            let waited = Duration::from_millis(1500) * n;
            assert_eq!(counts.waited(Side::B, refusal), waited);
            assert_eq!(counts.refused(Side::A, refusal), 0);
        }
        assert_eq!(counts.expired(Side::B), 1);
        let most = Refusal::ALL.len() as u64;
        assert_eq!(counts.refused_total(Side::B), (2..=most).sum());
    }
}
