//! A timer that makes other timers cheap while connections come and go.
//!
//! tokio wakes its driver, with a system call, for each new timer that is due before all others; with
//! deadlines of seconds that is one or two for every connection. While connections come, this timer is
//! always due sooner. When none come it stops, so that an idle process sleeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

const TICK: Duration = Duration::from_millis(50);

/// Ticks while connections come, and once more.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimerTick(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// A connection has come since the last tick.
    came: AtomicBool,
    resting: AtomicBool,
    wake: Notify,
}

// ===== impl TimerTick =====

impl TimerTick {
    /// A connection comes.
    pub(crate) fn came(&self) {
        // Read before it is written, so that the threads don't contend for the cache line.
        if !self.0.came.load(Ordering::Relaxed) {
            self.0.came.store(true, Ordering::SeqCst);
            if self.0.resting.load(Ordering::SeqCst) {
                self.0.wake.notify_one();
            }
        }
    }

    /// Ticks for ever.
    pub(crate) async fn run(self) {
        loop {
            self.0.resting.store(true, Ordering::SeqCst);
            // Read after the mark: a connection that comes now is seen here, or has seen the mark.
            if !self.0.came.load(Ordering::SeqCst) {
                self.0.wake.notified().await;
            }
            self.0.resting.store(false, Ordering::SeqCst);
            while self.0.came.swap(false, Ordering::SeqCst) {
                tokio::time::sleep(TICK).await;
            }
        }
    }
}
