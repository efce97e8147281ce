use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use couplet_endpoint::PeerNetwork;
use couplet_pairing::Scope;

use super::{ByteRate, bucket::Bucket};

/// The number of buckets below which none is swept.
const FEW: usize = 64;

/// A bucket for each address.
#[derive(Debug)]
pub(super) struct Addresses {
    rate: ByteRate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Peers of which nothing is known share one bucket.
    buckets: HashMap<PeerNetwork, Arc<Bucket>>,
    /// At this number of buckets, full ones are forgotten.
    sweep_at: usize,
}

// ===== impl Addresses =====

impl Addresses {
    pub(super) fn new(rate: ByteRate) -> Self {
        let state = State {
            buckets: HashMap::new(),
            sweep_at: FEW,
        };
        Self {
            rate,
            state: Mutex::new(state),
        }
    }

    pub(super) fn bucket(&self, peer: PeerNetwork) -> Arc<Bucket> {
        let mut state = self.state.lock().expect("no holder panics");
        if state.buckets.len() >= state.sweep_at {
            // A bucket that is not full is kept, so that reconnecting gives no new burst.
            let State { buckets, sweep_at } = &mut *state;
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full());
            *sweep_at = FEW.max(2 * buckets.len());
        }
        let bucket = state.buckets.entry(peer).or_insert_with(|| {
            let scope = Scope::Group(Bucket::number());
            Arc::new(Bucket::new(self.rate, scope))
        });
        Arc::clone(bucket)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().unwrap().buckets.len()
    }
}
