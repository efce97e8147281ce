use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

use super::super::key::Client;

/// The most clients with a rate of their own; those beyond share one.
pub(in super::super) const CLIENTS: usize = 65_536;

/// For each client the time at which its rate has recovered; at most [`CLIENTS`] entries.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<HashMap<Client, Nanos>>);

// ===== impl Buckets =====

impl Buckets {
    fn clients(&self) -> MutexGuard<'_, HashMap<Client, Nanos>> {
        // Each change leaves the entries whole, so a poisoned lock does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Buckets {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut clients = self.clients();
        let known = clients.len() < CLIENTS || clients.contains_key(client);
        let client = if known { *client } else { Client::Others };
        let (outcome, whole_again) = measure(clients.get(&client).copied())?;
        clients.insert(client, whole_again);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Client> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut clients = self.clients();
        clients.retain(|_, whole_again| *whole_again > drop_below);
        clients.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.clients().len()
    }

    fn is_empty(&self) -> bool {
        self.clients().is_empty()
    }
}
