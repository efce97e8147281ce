use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use couplet_endpoint::{AcceptErrors, Conn, Side};
use pin_project::pin_project;
use tower_service::Service;

use super::{RefusalCause, Stats, dials::Dials};
use crate::accessors::layer_and_service;

/// The most addresses that are remembered.
const ADDRESSES: usize = 1024;

/// The counts of one side.
#[derive(Debug, Default)]
pub(super) struct SideStats {
    connections: AtomicU64,
    refused: AtomicU64,
    arriving: AtomicU64,
    causes: [AtomicU64; RefusalCause::ALL.len()],
    pub(super) dials: Dials,
    addresses: Mutex<HashMap<IpAddr, u64>>,
    /// Where it accepts.
    pub(super) accepts: OnceLock<AcceptErrors>,
}

/// Counts the connections, the refusals and the addresses of a side. See the [module](super).
#[derive(Clone, Debug)]
pub struct SideStatsLayer {
    stats: Stats,
    side: Side,
}

/// Counts connections: made by [`SideStatsLayer`].
#[derive(Clone, Debug)]
pub struct SideStatsService<S> {
    layer: SideStatsLayer,
    inner: S,
}

/// The future of [`SideStatsService`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct SideStatsFuture<F> {
    #[pin]
    inner: F,
    arriving: Arriving,
}

/// Counts a connection as on its way, as long as it is there.
#[derive(Debug)]
struct Arriving {
    stats: Stats,
    side: Side,
}

// ===== impl SideStats =====

impl SideStats {
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn arriving(&self) -> u64 {
        self.arriving.load(Ordering::Relaxed)
    }

    pub(super) fn refusals(&self) -> Vec<(RefusalCause, u64)> {
        let causes = RefusalCause::ALL.iter().zip(&self.causes);
        let causes = causes.map(|(cause, count)| (*cause, count.load(Ordering::Relaxed)));
        causes.collect()
    }

    pub(super) fn refuse(&self, cause: RefusalCause) {
        self.causes[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn addresses(&self) -> Vec<(IpAddr, u64)> {
        self.seen()
            .iter()
            .map(|(ip, count)| (*ip, *count))
            .collect()
    }

    pub(super) fn addresses_seen(&self) -> usize {
        self.seen().len()
    }

    fn came(&self, from: Option<IpAddr>) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let Some(from) = from.map(|ip| ip.to_canonical()) else {
            return;
        };
        let mut seen = self.seen();
        if let Some(count) = seen.get_mut(&from) {
            *count += 1;
        } else if seen.len() < ADDRESSES {
            seen.insert(from, 1);
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl SideStatsLayer =====

impl SideStatsLayer {
    /// A layer that counts in `stats` as this side.
    pub const fn new(stats: Stats, side: Side) -> Self {
        Self { stats, side }
    }
}

layer_and_service!(SideStatsLayer => SideStatsService);

// ===== impl SideStatsService =====

impl<I, S: Service<Conn<I>>> Service<Conn<I>> for SideStatsService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = SideStatsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let from = conn.info.peer.map(|peer| peer.ip());
        let SideStatsLayer { stats, side } = &self.layer;
        stats.side(*side).came(from);
        SideStatsFuture {
            arriving: Arriving::new(stats.clone(), *side),
            inner: self.inner.call(conn),
        }
    }
}

impl<F, T, E> Future for SideStatsFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if result.is_err() {
            this.arriving
                .counts()
                .refused
                .fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

// ===== impl Arriving =====

impl Arriving {
    fn new(stats: Stats, side: Side) -> Self {
        stats.side(side).arriving.fetch_add(1, Ordering::Relaxed);
        Self { stats, side }
    }

    fn counts(&self) -> &SideStats {
        self.stats.side(self.side)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.counts().arriving.fetch_sub(1, Ordering::Relaxed);
    }
}
