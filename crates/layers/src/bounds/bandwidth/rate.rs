use std::num::NonZeroU64;

/// The most that one turn may be.
const MOST: u64 = 1024 * 1024;

/// A turn is not made smaller because many wait.
const LEAST: u32 = 4096;

/// Bytes per second, and how many may pass at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate {
    per_second: NonZeroU64,
    burst: NonZeroU64,
}

// ===== impl ByteRate =====

impl ByteRate {
    /// So many bytes per second. At once may pass what does in a tenth of a second.
    pub const fn per_second(bytes: NonZeroU64) -> Self {
        let burst = match NonZeroU64::new(bytes.get() / 10) {
            Some(burst) => burst,
            None => NonZeroU64::MIN,
        };
        Self {
            per_second: bytes,
            burst,
        }
    }

    /// How many bytes may pass at once when none have for a while.
    ///
    /// Timers are exact to a millisecond: with a burst of less than what passes in some of them, the
    /// rate is not reached.
    #[must_use]
    pub const fn burst(mut self, bytes: NonZeroU64) -> Self {
        self.burst = bytes;
        self
    }

    pub(super) const fn bytes_per_second(self) -> u64 {
        self.per_second.get()
    }

    pub(super) const fn most_at_once(self) -> u64 {
        self.burst.get()
    }

    /// What one direction of one pair gets before it is another's turn: what passes in 20 ms, so
    /// that it is not woken for each byte, and can be spliced where that is much.
    pub(super) fn turn(self) -> u32 {
        let turn = (self.per_second.get() / 50).clamp(1, MOST);
        u32::try_from(turn.min(self.burst.get())).expect("a turn is at most 1 MiB")
    }

    /// The same where others wait: all of them have theirs in that time. So one that can take but
    /// little at a time, for a bound of its own, is not left behind.
    pub(super) fn turn_among(self, others: usize) -> u32 {
        let turn = self.turn();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        (turn / others.saturating_add(1)).max(turn.min(LEAST))
    }
}
