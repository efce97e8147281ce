use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use couplet_connector::Handle;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    Relay,
    history::History,
    journal::Journal,
    program::{Known, Program},
    relays::Relays,
    reload::{ReloadRefused, Reloaded, Reloads},
};

/// How many event streams run at a time.
const STREAMS: usize = 8;

/// How many pairs are captured at a time: each has a thread.
const CAPTURES: usize = 4;

/// An admin endpoint: the relays of a program, by name. Cheap to clone; clones share their state.
///
/// A relay is added once it has been [started](couplet_connector::Connector::start): connections that
/// already wait then are missing in the list of waiting connections.
#[derive(Clone, Debug)]
pub struct Admin(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) relays: Arc<Relays>,
    hosts: RwLock<Vec<String>>,
    version: RwLock<String>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) history: Arc<History>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) captures: Arc<Semaphore>,
    pub(crate) since: Instant,
    pub(crate) reloads: Reloads,
    pub(crate) program: Known,
}

// ===== impl Admin =====

impl Admin {
    /// An endpoint without relays.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            relays: Arc::default(),
            hosts: RwLock::default(),
            version: RwLock::new(env!("CARGO_PKG_VERSION").to_owned()),
            journal: Arc::default(),
            history: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            captures: Arc::new(Semaphore::new(CAPTURES)),
            since: Instant::now(),
            reloads: Reloads::default(),
            program: Known::default(),
        }))
    }

    /// Answers for this relay, too: short for [`add`](Self::add) of a [`Relay`] without a description of
    /// its stack.
    ///
    /// # Panics
    ///
    /// If `name` is not a valid name, see [`Relay::new`].
    #[must_use]
    pub fn relay(self, name: &str, handle: &Handle) -> Self {
        self.add(Relay::new(name, handle));
        self
    }

    /// Answers for this relay from now on. A relay of the same name is replaced. A relay that
    /// [succeeds](couplet_connector::Connector::succeeds) it continues its lists.
    pub fn add(&self, mut relay: Relay) {
        let before = self.find(relay.name());
        let stats = relay.handle().stats().clone();
        match before.filter(|before| before.handle().stats().is(&stats)) {
            Some(before) => {
                relay.waiting = Arc::clone(&before.waiting);
                relay.captures = Arc::clone(&before.captures);
            }
            None => relay.observe(&self.0.journal),
        }
        self.0.relays.add(relay);
    }

    /// Removes the relay of this name from the endpoint; the relay goes on. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.relays.remove(name)
    }

    /// Calls this function at `POST /v1/reload`. Without a function there is no such route, and metrics and
    /// page show no generation. The first call counts.
    pub fn on_reload<R>(&self, reload: impl Fn() -> R + Send + Sync + 'static)
    where
        R: Future<Output = Result<Reloaded, ReloadRefused>> + Send + 'static,
    {
        self.0.reloads.set(Box::new(move || Box::pin(reload())));
    }

    /// Adds the routes of the program around the relays: `/v1/check`, `/v1/config`, `/v1/log`, `/v1/drain`,
    /// `/v1/stop`. The first call counts.
    pub fn program(&self, program: impl Program) {
        self.0.program.set(Box::new(program));
    }

    /// Records the result of a reload, whatever started it: the generation that now runs, or why nothing changed.
    pub fn reloaded(&self, outcome: Result<u64, &str>) {
        self.0.reloads.tell(outcome);
    }

    /// Accepts requests for this host name, too: `relay.example.org`, without a port.
    #[must_use]
    pub fn host(self, name: &str) -> Self {
        let mut hosts = self.0.hosts.write().unwrap_or_else(PoisonError::into_inner);
        hosts.push(name.to_ascii_lowercase());
        drop(hosts);
        self
    }

    /// Shows this version in place of the crate's.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        let mut shown = self
            .0
            .version
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        version.clone_into(&mut shown);
        drop(shown);
        self
    }

    // --- for the views ---

    pub(crate) fn relays(&self) -> Vec<Arc<Relay>> {
        self.0.relays.all()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Relay>> {
        self.0.relays.find(name)
    }

    pub(crate) fn is_host(&self, name: &str) -> bool {
        let hosts = self.0.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().any(|host| host == name)
    }

    pub(crate) fn shown_version(&self) -> String {
        let version = self
            .0
            .version
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        version.clone()
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.0.since.elapsed()
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self::new()
    }
}
