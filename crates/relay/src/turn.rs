//! How long a direction may go on before other tasks get their turn.

use tokio::runtime::{Handle, RuntimeFlavor};

/// After this many reads in a row, or this many bytes, a thread that has all tasks to itself turns to the
/// others.
const ROUNDS: u32 = 32;
const BYTES: u32 = 2 * 1024 * 1024;

/// The same of bytes that are copied: what they go through, as compression, may take long for each, and
/// the other direction of the pair waits.
const COPIED: u32 = 256 * 1024;

/// This many times as much by splice, where other threads can take the tasks that wait. There tokio wakes
/// another thread for a task that yields, and that thread takes the task, with what the caches hold of
/// its sockets.
const AMONG_THREADS: u32 = 4;

/// What a direction has done since its task was woken.
#[derive(Debug)]
pub(crate) struct Turn {
    rounds: u32,
    bytes: u32,
    times: u32,
    has_copied: bool,
}

// ===== impl Turn =====

impl Turn {
    pub(crate) const fn new() -> Self {
        Self {
            rounds: 0,
            bytes: 0,
            times: 1,
            has_copied: false,
        }
    }

    /// This many bytes were taken.
    pub(crate) const fn took(&mut self, bytes: u32, by_splice: bool) {
        self.has_copied |= !by_splice;
        self.rounds += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether it is the others' turn.
    pub(crate) fn is_over(&mut self) -> bool {
        let most = if self.has_copied { COPIED } else { BYTES };
        if self.rounds < ROUNDS * self.times && self.bytes < most * self.times {
            return false;
        }
        // Asked now, as it costs more than a comparison, and most turns are shorter.
        if self.times == 1 && !self.has_copied && has_threads() {
            self.times = AMONG_THREADS;
            return false;
        }
        true
    }
}

fn has_threads() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often this many bytes may be taken in one turn.
    fn turns(bytes: u32, by_splice: bool) -> u32 {
        let mut turn = Turn::new();
        let mut taken = 0;
        while !turn.is_over() {
            turn.took(bytes, by_splice);
            taken += 1;
        }
        taken
    }

    #[test]
    fn many_reads_or_many_bytes_end_a_turn() {
        assert_eq!(turns(1, true), ROUNDS);
        assert_eq!(turns(1024 * 1024, true), 2);
    }

    #[tokio::test]
    async fn one_thread_has_short_turns() {
        assert_eq!(turns(1, true), ROUNDS);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_copied_has_short_turns() {
        assert_eq!(turns(1, false), ROUNDS);
        assert_eq!(turns(64 * 1024, false), 4);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn among_threads_a_turn_is_longer() {
        assert_eq!(turns(1, true), ROUNDS * AMONG_THREADS);
        assert_eq!(turns(1024 * 1024, true), 8);
    }
}
