use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// Counts the carriers and the streams of a [`MuxListen`](super::MuxListen) or a
/// [`MuxDial`](super::MuxDial). Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct MuxWatch(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    carriers: Count,
    streams: Count,
    refused: AtomicU64,
    failed: AtomicU64,
    silent: AtomicU64,
    /// A carrier has ended.
    ended: Notify,
}

/// How many have begun, and how many have ended.
#[derive(Debug, Default)]
struct Count {
    begun: AtomicU64,
    over: AtomicU64,
}

/// The counts of one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MuxStatus {
    /// Carriers that are there.
    pub carriers: u64,
    /// Streams that are there.
    pub streams: u64,
    /// Carriers that were ever there.
    pub total_carriers: u64,
    /// Streams that were ever there.
    pub total_streams: u64,
    /// Carriers that could not be dialled, that a handshake refused, or whose peer has no mux.
    pub refused: u64,
    /// Carriers that were lost: their connection failed, or ended without a word.
    pub failed: u64,
    /// Carriers that were given up, as their peers were silent.
    pub silent: u64,
}

/// A carrier that is there until this is dropped.
#[derive(Debug)]
pub(super) struct CountedCarrier(MuxWatch);

/// A stream that is there until this is dropped.
#[derive(Debug)]
pub(super) struct CountedStream(MuxWatch);

// ===== impl MuxWatch =====

impl MuxWatch {
    /// The counts as they are now.
    pub fn status(&self) -> MuxStatus {
        let Counts {
            carriers,
            streams,
            refused,
            failed,
            silent,
            ..
        } = &*self.0;
        MuxStatus {
            carriers: carriers.now(),
            streams: streams.now(),
            total_carriers: carriers.begun.load(Relaxed),
            total_streams: streams.begun.load(Relaxed),
            refused: refused.load(Relaxed),
            failed: failed.load(Relaxed),
            silent: silent.load(Relaxed),
        }
    }

    /// Waits until no carrier is there. What a stream was given to write leaves with its carrier: a program
    /// that ends sooner loses it.
    pub async fn carriers_ended(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.0.carriers.now() == 0 {
                return;
            }
            ended.await;
        }
    }

    pub(super) fn carrier(&self) -> CountedCarrier {
        self.0.carriers.begun.fetch_add(1, Relaxed);
        CountedCarrier(self.clone())
    }

    pub(super) fn stream(&self) -> CountedStream {
        self.0.streams.begun.fetch_add(1, Relaxed);
        CountedStream(self.clone())
    }

    pub(super) fn refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.0.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn silent(&self) {
        self.0.silent.fetch_add(1, Relaxed);
    }
}

// ===== impl Count =====

impl Count {
    fn now(&self) -> u64 {
        // In this order, as one that is over has begun.
        let over = self.over.load(Relaxed);
        self.begun.load(Relaxed).saturating_sub(over)
    }
}

// ===== the drops =====

impl Drop for CountedCarrier {
    fn drop(&mut self) {
        self.0.0.carriers.over.fetch_add(1, Relaxed);
        self.0.0.ended.notify_waiters();
    }
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        self.0.0.streams.over.fetch_add(1, Relaxed);
    }
}
