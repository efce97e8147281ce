use std::{
    sync::Arc,
    task::{Wake, Waker},
};

use crate::sync::{AtomicBool, AtomicWaker, Ordering};

/// What wakes the task on behalf of a source, and remembers that it was the source.
#[derive(Default)]
pub(super) struct Source {
    has_woken: AtomicBool,
    task: AtomicWaker,
}

// ===== impl Source =====

impl Source {
    /// The task to wake.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    pub(super) fn has_woken(&self) -> bool {
        self.has_woken.load(Ordering::Acquire)
    }

    /// A waker for the look that comes now: what wakes it from here on is remembered anew.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        // Not a store: it has to see what came before the last wake, however the io looks for that.
        self.has_woken.swap(false, Ordering::AcqRel);
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Source {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_woken.swap(true, Ordering::AcqRel);
        self.task.wake();
    }
}
