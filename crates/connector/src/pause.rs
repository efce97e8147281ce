use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use couplet_endpoint::Side;
use futures::task::AtomicWaker;

/// Stops both sides from taking connections, until it is lifted.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    paused: AtomicBool,
    sides: [AtomicWaker; 2],
}

// ===== impl Pause =====

impl Pause {
    pub(crate) fn set(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        for side in &self.sides {
            side.wake();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Pending while it is set. For the one task that takes connections of that side.
    pub(crate) fn poll_lifted(&self, side: Side, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the look, so that no change falls between; while taking, too, so that a pause
        // stops an accept that waits.
        self.sides[side as usize].register(cx.waker());
        match self.is_set() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}
