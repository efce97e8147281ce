//! Cheap timers while connections come and go.
//!
//! tokio wakes its own driver, with a system call, for each new timer that is due before all
//! others: with deadlines of seconds that would be one or two for every connection. While
//! connections come, one timer of the heart's is always due sooner; when none come, it stops, so
//! that an idle process sleeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

const BEAT: Duration = Duration::from_millis(50);

/// Beats while it is told to, and once more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heart(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Something has come since the last beat.
    came: AtomicBool,
    resting: AtomicBool,
    wake: Notify,
}

// ===== impl Heart =====

impl Heart {
    /// A connection comes.
    pub(crate) fn came(&self) {
        // Read before it is written, so that the threads don't fight for it.
        if !self.0.came.load(Ordering::Relaxed) {
            self.0.came.store(true, Ordering::SeqCst);
            if self.0.resting.load(Ordering::SeqCst) {
                self.0.wake.notify_one();
            }
        }
    }

    /// Beats for ever.
    pub(crate) async fn beat(self) {
        loop {
            self.0.resting.store(true, Ordering::SeqCst);
            // Looked at after the mark: whoever comes now either is seen, or has seen the mark.
            if !self.0.came.load(Ordering::SeqCst) {
                self.0.wake.notified().await;
            }
            self.0.resting.store(false, Ordering::SeqCst);
            while self.0.came.swap(false, Ordering::SeqCst) {
                tokio::time::sleep(BEAT).await;
            }
        }
    }
}
