//! What one connector leaves to the next.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use couplet_endpoint::{BoxIo, Origin};
use couplet_layers::Stats;
use couplet_pairing::{Heir, WaitSlot};
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};

use crate::observers::Observers;

/// The connector before.
#[derive(Clone, derive_more::Debug)]
#[debug("Before")]
pub(crate) struct Before {
    pub(crate) stats: Stats,
    pub(crate) observers: Arc<Observers>,
    pub(crate) is_paused: bool,
    pub(crate) pairs: Option<PairPlaces>,
    /// It accepts no more clients, and gives those that wait to these places.
    pub(crate) retire: Arc<dyn Fn(Option<&WaitPlaces>) + Send + Sync>,
}

/// The places of a bounded number of live pairs.
#[derive(Clone, Debug)]
pub(crate) struct PairPlaces {
    bound: usize,
    pub(crate) places: Arc<Semaphore>,
}

/// Where the connections of a rendezvous wait: of each side, or of all together.
#[derive(derive_more::Debug)]
#[debug("WaitPlaces")]
pub(crate) struct WaitPlaces {
    is_keyed: bool,
    heirs: Vec<Arc<Heir<BoxIo>>>,
    /// For those that the connector before gives away. A slot keeps its pairing, so that these are taken
    /// out once they are given to.
    slots: Mutex<Vec<WaitSlot<BoxIo>>>,
}

// ===== impl PairPlaces =====

impl PairPlaces {
    /// Those of the connector before, if it has as many.
    pub(crate) fn new(bound: usize, before: Option<&Before>) -> Self {
        let before = before.and_then(|before| before.pairs.clone());
        before
            .filter(|before| before.bound == bound)
            .unwrap_or_else(|| Self {
                bound,
                // More than a semaphore can count is no bound in practice.
                places: Arc::new(Semaphore::new(bound.min(Semaphore::MAX_PERMITS))),
            })
    }
}

// ===== impl WaitPlaces =====

impl WaitPlaces {
    pub(crate) fn new(is_keyed: bool, slots: Vec<WaitSlot<BoxIo>>, takes: bool) -> Self {
        Self {
            is_keyed,
            heirs: slots.iter().map(WaitSlot::heir).collect(),
            slots: Mutex::new(if takes { slots } else { Vec::new() }),
        }
    }

    /// Those that wait here wait there from now on, if connections are paired alike there.
    pub(crate) fn give_to(&self, to: &Self) {
        let mut slots = to.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = mem::take(&mut *slots);
        if self.is_keyed != to.is_keyed {
            return;
        }
        for (heir, slot) in self.heirs.iter().zip(slots) {
            heir.take_over(move |conn| {
                // One that was dialled ahead may have been dialled for what is so no more.
                if conn.info.origin == Origin::Dialled {
                    return;
                }
                let conn = conn.map_io(|io| -> BoxIo { Box::new(io) });
                let mut slot = slot.clone();
                tokio::spawn(async move {
                    // It fails where that pairing has ended, too.
                    if let Ok(slot) = slot.ready().await {
                        let _ = slot.call(conn).await;
                    }
                });
            });
        }
    }
}
