use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use crate::RelayEvent;

type Observer = dyn Fn(&RelayEvent<'_>) + Send + Sync;

/// What is called with each event of a relay.
#[derive(Default, derive_more::Debug)]
#[debug("Observers")]
pub(crate) struct Observers(RwLock<Vec<Arc<Observer>>>);

// ===== impl Observers =====

impl Observers {
    pub(crate) fn add(&self, observer: impl Fn(&RelayEvent<'_>) + Send + Sync + 'static) {
        let mut observers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        observers.push(Arc::new(observer));
    }

    /// Called in the task of the connection or pair, which may panic already.
    pub(crate) fn tell(&self, event: &RelayEvent<'_>) {
        let observers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for observer in observers.iter() {
            let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
        }
    }
}
