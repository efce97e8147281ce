use std::{
    mem,
    sync::Arc,
    task::{Wake, Waker},
};

use crate::sync::{AtomicBool, AtomicWaker, Mutex, Ordering, PoisonError};

/// The numbers of the connections that were woken.
#[derive(Debug, Default)]
pub(super) struct Woken {
    numbers: Mutex<Vec<u64>>,
    keeper: AtomicWaker,
}

/// The waker of one waiting connection.
#[derive(Debug)]
pub(super) struct WakeOne {
    number: u64,
    /// Already in the list, so that the list is never longer than the set.
    listed: AtomicBool,
    woken: Arc<Woken>,
}

// ===== impl Woken =====

impl Woken {
    pub(super) fn one(self: &Arc<Self>, number: u64) -> Arc<WakeOne> {
        Arc::new(WakeOne {
            number,
            listed: AtomicBool::new(false),
            woken: Arc::clone(self),
        })
    }

    /// Registers the task to wake.
    pub(super) fn register(&self, keeper: &Waker) {
        self.keeper.register(keeper);
    }

    pub(super) fn take(&self) -> Vec<u64> {
        mem::take(&mut *self.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// ===== impl WakeOne =====

impl WakeOne {
    /// A waker for the look that comes now: what wakes it from here on is listed anew.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        // Not a store: it has to see what came before the last wake, however the io looks for that.
        self.listed.swap(false, Ordering::AcqRel);
        Waker::from(Arc::clone(self))
    }
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.woken
                .numbers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.number);
            self.woken.keeper.wake();
        }
    }
}
