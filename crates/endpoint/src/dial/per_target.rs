use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    address::DialAddr,
    conn::PeerNetwork,
    fair::{FairSlot, FairSlots, GivesWay},
};

/// A client that comes at the bound is refused, or takes the slot of one whose network has more: it is
/// there and known, so that no dial has to end for an unknown one, however long it takes.
const GIVES_WAY: GivesWay = GivesWay::Oldest {
    after: Duration::MAX,
};

/// Bounds the dials of each target that are under way, so that an unresponsive target takes no more
/// than its share; those of one target are shared fairly among the networks of the clients.
#[derive(Clone)]
pub(super) struct PerTarget {
    most: usize,
    /// The client that the next dial is for.
    client: Option<PeerNetwork>,
    pending: Arc<Mutex<HashMap<Arc<DialAddr>, FairSlots>>>,
}

/// A dial that is under way.
pub(super) struct Pending {
    target: Arc<DialAddr>,
    /// None when it is over.
    slot: Option<FairSlot>,
    of: PerTarget,
}

// ===== impl PerTarget =====

impl PerTarget {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            client: None,
            pending: Arc::default(),
        }
    }

    pub(super) fn for_client(self, client: Option<PeerNetwork>) -> Self {
        Self { client, ..self }
    }

    /// Begins a dial, or returns the bound where that is reached.
    pub(super) fn begin(&self, target: &Arc<DialAddr>) -> Result<Pending, usize> {
        let mut pending = self.pending();
        let slots = pending
            .entry(Arc::clone(target))
            .or_insert_with(|| FairSlots::new(self.most, GIVES_WAY));
        let slot = slots.enter(self.client).ok_or(self.most)?;
        Ok(Pending {
            target: Arc::clone(target),
            slot: Some(slot),
            of: self.clone(),
        })
    }

    // Nothing in here panics while it holds the lock.
    fn pending(&self) -> MutexGuard<'_, HashMap<Arc<DialAddr>, FairSlots>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Pending =====

impl Pending {
    /// Waits until a client of another network needs the slot, which never happens to a dial without a
    /// bound. Returns the bound.
    pub(super) async fn gives_way(dial: Option<&Self>) -> usize {
        match dial.and_then(|dial| Some((dial.slot.as_ref()?, dial.of.most))) {
            Some((slot, most)) => {
                slot.gives_way().await;
                most
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut pending = self.of.pending();
        self.slot = None;
        if let Entry::Occupied(slots) = pending.entry(Arc::clone(&self.target))
            && slots.get().taken() == 0
        {
            slots.remove();
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
    use futures::FutureExt;

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

    #[test]
    fn the_dials_of_a_target_are_shared_fairly_among_the_clients() {
        let target = Arc::new("192.0.2.1:1".parse().unwrap());
        let dials = PerTarget::new(3);
        let [many, few] = ["198.51.100.1", "198.51.100.2"].map(|ip| {
            let network = PeerNetwork::of(ip.parse().ok());
            dials.clone().for_client(Some(network))
        });
        let under_way = [(); 3].map(|()| many.begin(&target).ok().unwrap());
        assert_eq!(many.begin(&target).err(), Some(3));
        let newcomer = few.begin(&target).ok().unwrap();
        let gave_way = under_way.map(|dial| Pending::gives_way(Some(&dial)).now_or_never());
        assert_eq!(gave_way, [Some(3), None, None]);
        assert_eq!(Pending::gives_way(Some(&newcomer)).now_or_never(), None);
        assert!(few.begin(&target).is_ok());
        drop(newcomer);
        assert!(dials.pending().is_empty());
    }
}
