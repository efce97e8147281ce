use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::key::Client;

/// A number of permits for each client. Only clients that hold or wait for a permit have an entry.
#[derive(Debug)]
pub(super) struct Table {
    permits: usize,
    entries: Mutex<HashMap<Client, Entry>>,
}

#[derive(Debug)]
struct Entry {
    permits: Arc<Semaphore>,
    /// The number of holders of permits, and of tasks that wait for one.
    users: usize,
}

/// Keeps a client's entry.
#[derive(Debug)]
pub(super) struct User {
    table: Arc<Table>,
    client: Client,
    permits: Arc<Semaphore>,
}

/// One of a client's permits.
#[derive(Debug)]
pub struct Permit {
    // Given back before the entry is removed: a client without an entry starts with all permits.
    _permit: OwnedSemaphorePermit,
    _user: User,
}

// ===== impl Table =====

impl Table {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            // More than a semaphore can count is no bound in practice.
            permits: permits.min(Semaphore::MAX_PERMITS),
            entries: Mutex::default(),
        }
    }

    pub(super) fn enter(self: &Arc<Self>, client: Client) -> User {
        let mut entries = self.entries();
        let entry = entries.entry(client).or_insert_with(|| Entry {
            permits: Arc::new(Semaphore::new(self.permits)),
            users: 0,
        });
        entry.users += 1;
        User {
            table: Arc::clone(self),
            client,
            permits: Arc::clone(&entry.permits),
        }
    }

    /// Whether one of this client's permits is held or waited for.
    pub(super) fn has(&self, client: Client) -> bool {
        self.entries().contains_key(&client)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    fn leave(&self, client: Client) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&client) {
            entry.users -= 1;
            if entry.users == 0 {
                entries.remove(&client);
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Client, Entry>> {
        // Each change leaves the entries whole, so a poisoned lock does no harm.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl User =====

impl User {
    /// A permit, if one is free and no other waits for it.
    pub(super) fn try_acquire(self) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Permit {
            _permit: permit,
            _user: self,
        })
    }

    /// Waits for a permit, first come, first served. Cancel-safe.
    pub(super) async fn acquire(self) -> Permit {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        Permit {
            _permit: permit.expect("it is never closed"),
            _user: self,
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.table.leave(self.client);
    }
}
