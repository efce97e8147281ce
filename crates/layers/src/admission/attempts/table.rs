use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The failed handshakes of each address. A handle: clones count together.
#[derive(Clone, Debug)]
pub struct Attempts(Arc<Shared>);

/// The counts of an [`AttemptsLayer`](super::AttemptsLayer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptCounts {
    /// Handshakes that failed.
    pub failed: u64,
    /// Connections that were refused because their address had failed too often.
    pub refused: u64,
    /// Connections that were delayed for the same reason.
    pub delayed: u64,
    /// Addresses that are remembered now.
    pub addresses: usize,
}

#[derive(Debug)]
struct Shared {
    limit: u32,
    window: Duration,
    table: Mutex<Table>,
    failed: AtomicU64,
    refused: AtomicU64,
    delayed: AtomicU64,
}

#[derive(Debug)]
struct Table {
    capacity: usize,
    failures: HashMap<IpAddr, Failures>,
    /// The keys of `failures`, by the beginning of their windows.
    windows: VecDeque<(Instant, IpAddr)>,
}

/// The counts of one address in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Failures {
    pub(super) failed: u32,
    pub(super) refused: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Pass,
    Blocked,
}

// ===== impl Attempts =====

impl Attempts {
    /// A table for at most 65536 addresses, each of which may fail `limit` times within a window of
    /// this length.
    ///
    /// # Panics
    ///
    /// If the limit is 0, with which every client would be refused.
    pub fn new(limit: u32, window: Duration) -> Self {
        assert!(limit > 0, "an address may fail at least once");
        Self(Arc::new(Shared {
            limit,
            window,
            table: Mutex::new(Table {
                capacity: 65536,
                failures: HashMap::new(),
                windows: VecDeque::new(),
            }),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
        }))
    }

    /// Sets the number of addresses that are remembered, at least one.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Self {
        self.table().capacity = capacity.max(1);
        self
    }

    /// The counts so far.
    pub fn counts(&self) -> AttemptCounts {
        let mut table = self.table();
        table.forget_old(self.0.window);
        AttemptCounts {
            failed: self.0.failed.load(Relaxed),
            refused: self.0.refused.load(Relaxed),
            delayed: self.0.delayed.load(Relaxed),
            addresses: table.failures.len(),
        }
    }

    /// The number of failures of this address, or its /64 network, in the present window.
    pub fn failures(&self, peer: IpAddr) -> u32 {
        let mut table = self.table();
        table.forget_old(self.0.window);
        table.of(peer).failed
    }

    pub(super) fn verdict(&self, peer: IpAddr) -> Verdict {
        match self.failures(peer) >= self.0.limit {
            true => Verdict::Blocked,
            false => Verdict::Pass,
        }
    }

    /// Counts a failure of this address, and returns the new number.
    pub(super) fn fail(&self, peer: IpAddr) -> u32 {
        self.0.failed.fetch_add(1, Relaxed);
        let mut table = self.table();
        table.forget_old(self.0.window);
        table.fail(network(peer));
        table.of(peer).failed
    }

    /// Counts a refusal of this address, and returns the new counts.
    pub(super) fn refuse(&self, peer: IpAddr) -> Failures {
        self.0.refused.fetch_add(1, Relaxed);
        let mut table = self.table();
        if let Some(failures) = table.failures.get_mut(&network(peer)) {
            failures.refused = failures.refused.saturating_add(1);
        }
        table.of(peer)
    }

    pub(super) fn count_delayed(&self) {
        self.0.delayed.fetch_add(1, Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change leaves the table whole, so a poisoned lock does no harm.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Table =====

impl Table {
    fn of(&self, peer: IpAddr) -> Failures {
        self.failures
            .get(&network(peer))
            .copied()
            .unwrap_or_default()
    }

    fn fail(&mut self, network: IpAddr) {
        if let Some(failures) = self.failures.get_mut(&network) {
            failures.failed = failures.failed.saturating_add(1);
            return;
        }
        if self.failures.len() >= self.capacity {
            self.forget_first();
        }
        let first = Failures {
            failed: 1,
            refused: 0,
        };
        self.failures.insert(network, first);
        self.windows.push_back((Instant::now(), network));
    }

    fn forget_old(&mut self, window: Duration) {
        while let Some((since, _)) = self.windows.front()
            && since.elapsed() >= window
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, network)) = self.windows.pop_front() {
            self.failures.remove(&network);
        }
    }
}

/// The address, or the /64 network, that counts as one client.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(peer) => peer.into(),
        IpAddr::V6(peer) => Ipv6Addr::from_bits(peer.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_client() {
        let attempts = Attempts::new(2, Duration::from_secs(60));
        for peer in [
            "2001:db8::1",
            "2001:db8::ffff",
            "192.0.2.1",
            "::ffff:192.0.2.1",
        ] {
            attempts.fail(ip(peer));
        }
        assert_eq!(attempts.failures(ip("2001:db8::2")), 2);
        assert_eq!(attempts.failures(ip("2001:db8:0:1::1")), 0);
        assert_eq!(attempts.failures(ip("192.0.2.1")), 2);
        assert_eq!(attempts.failures(ip("192.0.2.2")), 0);
        assert_eq!(attempts.counts().addresses, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_begins_with_the_first_failure() {
        let attempts = Attempts::new(2, Duration::from_secs(60));
        let peer = ip("192.0.2.1");
        attempts.fail(peer);
        tokio::time::advance(Duration::from_secs(59)).await;
        attempts.fail(peer);
        assert_eq!(attempts.verdict(peer), Verdict::Blocked);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(attempts.verdict(peer), Verdict::Pass);
        attempts.fail(peer);
        assert_eq!(attempts.failures(peer), 1);
        assert_eq!(attempts.counts().failed, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let attempts = Attempts::new(1, Duration::from_secs(60)).capacity(100);
        for number in 0..1000_u32 {
            attempts.fail(IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(attempts.counts().addresses, 100);
        assert_eq!(attempts.0.table.lock().unwrap().windows.len(), 100);
        assert_eq!(attempts.failures(IpAddr::from(899_u32.to_be_bytes())), 0);
        assert_eq!(attempts.failures(IpAddr::from(900_u32.to_be_bytes())), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(attempts.counts().addresses, 0);
    }
}
