use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::key::Client;

/// So many permits for each client. Only clients that hold or wait for a permit have an entry.
#[derive(Debug)]
pub(super) struct Table {
    permits: usize,
    entries: Mutex<HashMap<Client, Entry>>,
}

#[derive(Debug)]
struct Entry {
    permits: Arc<Semaphore>,
    /// How many hold a permit or may come to.
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
    // Given back before the entry goes: a client without an entry starts from a whole one.
    _permit: OwnedSemaphorePermit,
    _user: User,
}

// ===== impl Table =====

impl Table {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            // What is more than a semaphore counts is as good as endless.
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

    /// Is one of this client's permits held or waited for?
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
        // Entries are whole, whatever panicked.
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
