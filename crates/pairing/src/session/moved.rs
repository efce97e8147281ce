use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use couplet_endpoint::Side;

/// How many threads count without disturbing each other.
const SHARDS: usize = 8;

/// Counts the bytes of many sessions together, live and ended ones. Cheap to clone; clones share their counters.
///
/// [`OwnedSession::count_in`](super::OwnedSession::count_in) makes a session count here as well as in its
/// own [`Meter`](super::Meter), so that a sum need not walk the sessions.
#[derive(Clone, Default)]
pub struct Moved(Arc<[Shard; SHARDS]>);

/// What one thread has counted. Apart from the others: two threads that count in one cache line wait for
/// each other (x86 reads ahead two lines of 64 bytes).
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    delivered: [AtomicU64; 2],
    spliced: [AtomicU64; 2],
    /// Milliseconds.
    stalled: [AtomicU64; 2],
    /// What one thread adds another may take off, so that only the sum is a number of bytes.
    held: [AtomicU64; 2],
}

// ===== impl Moved =====

impl Moved {
    /// Counters that begin at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that came from `from` and were delivered to the other side.
    pub fn bytes(&self, from: Side) -> u64 {
        self.sum(|shard| &shard.delivered[from as usize])
    }

    /// The part of these [`bytes`](Self::bytes) that the kernel moved by splice(2); the others were copied.
    pub fn spliced(&self, from: Side) -> u64 {
        self.sum(|shard| &shard.spliced[from as usize])
    }

    /// The time for which readers held up bytes from `from` (back-pressure). A stall is counted when it ends.
    pub fn stalled(&self, from: Side) -> Duration {
        Duration::from_millis(self.sum(|shard| &shard.stalled[from as usize]))
    }

    /// The bytes from `from` that the relay holds now, in buffers and pipes, because their reader is slow;
    /// of each pair rounded up to 32.
    pub fn held(&self, from: Side) -> u64 {
        let shards = self.0.iter();
        let held = shards.map(|shard| shard.held[from as usize].load(Ordering::Relaxed));
        let held = held.fold(0, u64::wrapping_add);
        // Another thread may have taken off what was not added yet, as this one sees it.
        if held > u64::MAX / 2 { 0 } else { held }
    }

    pub(super) fn delivers(&self, from: Side, bytes: u64, by_splice: bool) {
        let shard = self.shard();
        shard.delivered[from as usize].fetch_add(bytes, Ordering::Relaxed);
        if by_splice {
            shard.spliced[from as usize].fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn stalls(&self, from: Side, millis: u64) {
        self.shard().stalled[from as usize].fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn holds(&self, from: Side, bytes: u64) {
        self.shard().held[from as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn lets_go(&self, from: Side, bytes: u64) {
        self.shard().held[from as usize].fetch_sub(bytes, Ordering::Relaxed);
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let counters = self.0.iter().map(counter);
        counters.map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// This thread's.
    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        let mine = MINE.with(|mine| {
            if mine.get() == usize::MAX {
                mine.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            mine.get()
        });
        &self.0[mine % SHARDS]
    }
}

impl fmt::Debug for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moved")
            .field("a_to_b", &self.bytes(Side::A))
            .field("b_to_a", &self.bytes(Side::B))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_threads_count_is_summed() {
        let moved = Moved::new();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    moved.delivers(Side::A, 5, false);
                    moved.delivers(Side::A, 7, true);
                    moved.stalls(Side::B, 250);
                });
            }
        });
        let threads = 2 * SHARDS as u64;
        assert_eq!(moved.bytes(Side::A), 12 * threads);
        assert_eq!(moved.spliced(Side::A), 7 * threads);
        assert_eq!((moved.bytes(Side::B), moved.spliced(Side::B)), (0, 0));
        assert_eq!(moved.stalled(Side::B), Duration::from_secs(4));
        assert_eq!(moved.stalled(Side::A), Duration::ZERO);
    }
}
