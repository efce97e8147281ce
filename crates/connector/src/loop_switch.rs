use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Context,
};

use couplet_endpoint::Side;
use futures::task::AtomicWaker;

/// Tells the loops that take the connections of the two sides: to drain, or to pause.
///
/// Asked with each connection, so it is no `CancellationToken`: to ask one costs a lock.
#[derive(Debug, Default)]
pub(crate) struct LoopSwitch {
    on: AtomicBool,
    /// One a side.
    loops: [AtomicWaker; 2],
}

// ===== impl LoopSwitch =====

impl LoopSwitch {
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
        for side in &self.loops {
            side.wake();
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// Whether it is on. The one loop of this side is woken when that changes, also while it waits for a
    /// connection.
    pub(crate) fn poll_on(&self, side: Side, cx: &Context<'_>) -> bool {
        // Registered before the look, so that no change falls between.
        self.loops[side as usize].register(cx.waker());
        self.is_on()
    }
}
