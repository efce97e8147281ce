use std::num::NonZeroU64;

/// The most bytes of one turn.
const MOST: u64 = 1024 * 1024;

/// The fewest bytes of one turn, however many pairs wait.
const LEAST: u32 = 4096;

/// Bytes per second, and the bytes that may pass at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate {
    per_second: NonZeroU64,
    burst: NonZeroU64,
}

// ===== impl ByteRate =====

impl ByteRate {
    /// This many bytes per second, with a burst of the bytes of a tenth of a second.
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

    /// The bytes that may pass at once after a pause.
    ///
    /// Timers are exact to a millisecond, so with a burst of less than the bytes of a few milliseconds
    /// the rate is not reached.
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

    /// The bytes that one direction gets before the next turn: those of 20 ms, so that it is not woken
    /// for each byte, and splice has much to move.
    pub(super) fn turn(self) -> u32 {
        let turn = (self.per_second.get() / 50).clamp(1, MOST);
        u32::try_from(turn.min(self.burst.get())).expect("a turn is at most 1 MiB")
    }

    /// The bytes of a turn where others wait: all of them have their turn within 20 ms. So a direction
    /// that takes few bytes at a time, for a bound of its own, is not left behind.
    pub(super) fn turn_among(self, others: usize) -> u32 {
        let turn = self.turn();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        (turn / others.saturating_add(1)).max(turn.min(LEAST))
    }
}
