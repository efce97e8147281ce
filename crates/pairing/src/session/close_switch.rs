use std::task::{Context, Poll};

use crate::sync::{AtomicWaker, OnceLock};

/// Ends a session from outside: any task may close it, and the task that serves the pair is woken.
pub(super) struct CloseSwitch<R> {
    reason: OnceLock<R>,
    serving: AtomicWaker,
}

// ===== impl CloseSwitch =====

impl<R: Copy> CloseSwitch<R> {
    pub(super) fn new() -> Self {
        Self {
            reason: OnceLock::new(),
            serving: AtomicWaker::new(),
        }
    }

    /// Closes for this reason, unless there is one already.
    pub(super) fn close(&self, reason: R) {
        if self.reason.set(reason).is_ok() {
            self.serving.wake();
        }
    }

    pub(super) fn reason(&self) -> Option<R> {
        self.reason.get().copied()
    }

    /// Ready once it was closed. For one task.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<R> {
        // Registered before the read, so that no close is lost.
        self.serving.register(cx.waker());
        self.reason().map_or(Poll::Pending, Poll::Ready)
    }
}
