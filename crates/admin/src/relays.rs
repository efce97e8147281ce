use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::Relay;

/// The relays of a program, by name.
#[derive(Debug, Default)]
pub(crate) struct Relays(RwLock<BTreeMap<String, Arc<Relay>>>);

// ===== impl Relays =====

impl Relays {
    /// A relay of the same name is replaced.
    pub(crate) fn add(&self, relay: Relay) {
        let mut relays = self.0.write().unwrap_or_else(PoisonError::into_inner);
        relays.insert(relay.name().to_owned(), Arc::new(relay));
    }

    /// Was there one?
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut relays = self.0.write().unwrap_or_else(PoisonError::into_inner);
        relays.remove(name).is_some()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Relay>> {
        let relays = self.0.read().unwrap_or_else(PoisonError::into_inner);
        relays.get(name).cloned()
    }

    /// By name.
    pub(crate) fn all(&self) -> Vec<Arc<Relay>> {
        let relays = self.0.read().unwrap_or_else(PoisonError::into_inner);
        relays.values().cloned().collect()
    }
}
