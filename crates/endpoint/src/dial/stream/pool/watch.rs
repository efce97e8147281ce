use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::slots::{PoolSlots, PoolStatus};

/// Watches a pool, or the pools at the addresses of a name. Cheap to clone.
#[derive(Clone, Default)]
pub struct PoolWatch(Arc<Mutex<Vec<Weak<PoolSlots>>>>);

// ===== impl PoolWatch =====

impl PoolWatch {
    /// How they do, all together; nothing of pools that are gone.
    pub fn status(&self) -> PoolStatus {
        let mut sum = PoolStatus::default();
        let pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for pool in pools.iter().filter_map(Weak::upgrade) {
            let one = pool.status();
            sum.wanted += one.wanted;
            sum.ready += one.ready;
            sum.dialling += one.dialling;
        }
        sum
    }

    pub(super) fn add(&self, pool: &Arc<PoolSlots>) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }
}

impl fmt::Debug for PoolWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolWatch").field(&self.status()).finish()
    }
}
