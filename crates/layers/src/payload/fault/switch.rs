use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

/// Switches a fault off and on for all pairs of its layer, live ones too. Clones switch the same fault.
/// A fault is on at first.
#[derive(Clone, derive_more::Debug)]
#[debug("FaultSwitch({})", if self.is_on() { "on" } else { "off" })]
pub struct FaultSwitch(Arc<Shared>);

struct Shared {
    is_on: AtomicBool,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waker>>,
}

/// Waits for a direction's fault to be switched.
#[derive(Debug)]
pub(super) struct Watch {
    switch: FaultSwitch,
    number: u64,
}

// ===== impl FaultSwitch =====

impl FaultSwitch {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            is_on: AtomicBool::new(true),
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
        }))
    }

    /// Whether the fault is on.
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::SeqCst)
    }

    /// Switches the fault on.
    pub fn on(&self) {
        self.set(true);
    }

    /// Switches the fault off: bytes held back come at once.
    pub fn off(&self) {
        self.set(false);
    }

    fn set(&self, is_on: bool) {
        self.0.is_on.store(is_on, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.0.waiting.lock().expect("no holder panics"));
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.0.waiting.lock().unwrap().len()
    }

    pub(super) fn watch(&self) -> Watch {
        Watch {
            switch: self.clone(),
            number: self.0.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

// ===== impl Watch =====

impl Watch {
    pub(super) fn is_on(&self) -> bool {
        self.switch.is_on()
    }

    /// Wakes the task when the fault is no longer as it `was`, or at once if that is so already.
    pub(super) fn register(&self, cx: &mut Context<'_>, was: bool) {
        let mut waiting = self.switch.0.waiting.lock().expect("no holder panics");
        waiting.insert(self.number, cx.waker().clone());
        drop(waiting);
        if self.is_on() != was {
            cx.waker().wake_by_ref();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.switch.0.waiting.lock().expect("no holder panics");
        waiting.remove(&self.number);
    }
}
