//! What keeps a hundred thousand waiting connections from asking a match-maker that is away.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::sleep,
};

/// The first and the longest pause between two tries of a match-maker that fails.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// Open while the match-maker answers. While it is shut, one asker at a time tries.
#[derive(Debug)]
pub(super) struct Gate {
    open: watch::Sender<bool>,
    turn: Semaphore,
    pause: Mutex<Duration>,
}

/// Leave to ask.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    _turn: Option<SemaphorePermit<'a>>,
}

// ===== impl Gate =====

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            open: watch::Sender::new(true),
            turn: Semaphore::new(1),
            pause: Mutex::new(PAUSES[0]),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until the match-maker answers, or it is this one's turn to try.
    pub(super) async fn pass(&self) -> Leave<'_> {
        tokio::select! {
            biased;
            () = self.is_answered() => Leave { _turn: None },
            turn = self.turn.acquire() => {
                // While it slept for its turn, others may have got an answer.
                let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = tokio::time::timeout(pause, self.is_answered()).await;
                Leave { _turn: turn.ok() }
            }
        }
    }

    /// Ready while the match-maker answers.
    async fn is_answered(&self) {
        // The sender is here, so it never fails.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// The match-maker has answered. Returns whether it had not before.
    pub(super) fn answered(&self) -> bool {
        let opens = self
            .open
            .send_if_modified(|open| !std::mem::replace(open, true));
        if opens {
            *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = PAUSES[0];
        }
        opens
    }

    /// The match-maker has failed. Returns whether it had not before.
    pub(super) fn failed(&self) -> bool {
        let shuts = self
            .open
            .send_if_modified(|open| std::mem::replace(open, false));
        if !shuts {
            let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            *pause = (*pause * 2).min(PAUSES[1]);
        }
        shuts
    }
}

/// The pause before another try for one connection, after this many failures.
pub(super) async fn pause_after(failures: u32) {
    if let Some(doublings) = failures.checked_sub(1) {
        let first = Duration::from_millis(10);
        sleep((first * 2_u32.pow(doublings.min(7))).min(Duration::from_secs(1))).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_tries_a_match_maker_that_is_away() {
        let gate = Gate::new();
        assert!(gate.pass().now_or_never().is_some());
        assert!(gate.failed() && !gate.is_open());
        let begun = Instant::now();
        let mut tries = 0;
        while begun.elapsed() < Duration::from_secs(10) {
            let _leave = gate.pass().await;
            assert!(gate.pass().now_or_never().is_none());
            assert!(!gate.failed());
            tries += 1;
        }
        assert!((40..50).contains(&tries), "{tries}");
        // The others go on as soon as one has an answer.
        let (waiting, _turn) = (gate.pass(), gate.pass().await);
        assert!(gate.answered() && !gate.answered());
        assert!(waiting.now_or_never().is_some());
        assert!(gate.failed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_failed_often_pauses_for_a_second_at_most() {
        for (failures, pause) in [
            (0, 0),
            (1, 10),
            (2, 20),
            (5, 160),
            (9, 1000),
            (u32::MAX, 1000),
        ] {
            let begun = Instant::now();
            pause_after(failures).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(pause), "{failures}");
        }
    }
}
