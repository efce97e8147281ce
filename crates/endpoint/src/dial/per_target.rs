use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::address::DialAddr;

/// Bounds the dials of each target that are under way, so that an unresponsive target takes no more
/// than its share.
#[derive(Clone)]
pub(super) struct PerTarget {
    most: usize,
    pending: Arc<Mutex<HashMap<Arc<DialAddr>, usize>>>,
}

/// A dial that is under way.
pub(super) struct Pending {
    target: Arc<DialAddr>,
    of: PerTarget,
}

// ===== impl PerTarget =====

impl PerTarget {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            pending: Arc::default(),
        }
    }

    /// Begins a dial, or returns the bound where that is reached.
    pub(super) fn begin(&self, target: &Arc<DialAddr>) -> Result<Pending, usize> {
        let mut pending = self.pending();
        let number = pending.entry(Arc::clone(target)).or_default();
        if *number >= self.most {
            return Err(self.most);
        }
        *number += 1;
        Ok(Pending {
            target: Arc::clone(target),
            of: self.clone(),
        })
    }

    // Nothing in here panics while it holds the lock.
    fn pending(&self) -> MutexGuard<'_, HashMap<Arc<DialAddr>, usize>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Entry::Occupied(mut number) = self.of.pending().entry(Arc::clone(&self.target)) {
            *number.get_mut() -= 1;
            if *number.get() == 0 {
                number.remove();
            }
        }
    }
}

impl fmt::Debug for PerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerTarget({})", self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_own_bound_and_idle_targets_take_no_memory() {
        let [one, other] = ["192.0.2.1:1", "h:1"].map(|target| Arc::new(target.parse().unwrap()));
        let dials = PerTarget::new(2);
        let first = dials.begin(&one).ok().unwrap();
        let second = dials.begin(&one).ok();
        assert_eq!(dials.begin(&one).err(), Some(2));
        assert!(dials.begin(&other).is_ok());
        drop(first);
        assert!(dials.begin(&one).is_ok());
        drop(second);
        assert!(dials.pending().is_empty());
    }
}
