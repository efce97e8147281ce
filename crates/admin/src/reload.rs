//! Reading the configuration again: what the program does, and how it went.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use futures::future::BoxFuture;
use serde_json::Value;

/// The result of a reload, as JSON with a member `generation`.
pub type Reloaded = Value;

/// The reason for which a reload changed nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReloadRefused {
    /// Another one is at work, or the program ends.
    Busy(String),
    /// The configuration has mistakes: as text, and each as JSON.
    Wrong {
        /// All of them, for people.
        text: String,
        /// Each with `message`, `hint`, and where it is.
        mistakes: Vec<Value>,
    },
}

pub(crate) type Reload =
    dyn Fn() -> BoxFuture<'static, Result<Reloaded, ReloadRefused>> + Send + Sync;

/// What is known of reloads.
#[derive(Default)]
pub(crate) struct Reloads {
    reload: OnceLock<Box<Reload>>,
    told: Mutex<Told>,
}

#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) generation: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// When the last one was.
    pub(crate) last: SystemTime,
    /// Why the last one failed, if it did.
    pub(crate) failure: Option<String>,
}

// ===== impl Reloads =====

impl Reloads {
    /// The first call counts.
    pub(crate) fn set(&self, reload: Box<Reload>) {
        let _ = self.reload.set(reload);
    }

    /// How one went.
    pub(crate) fn tell(&self, outcome: Result<u64, &str>) {
        let mut told = self.told();
        told.last = SystemTime::now();
        match outcome {
            Ok(generation) => {
                told.generation = generation;
                told.succeeded += 1;
                told.failure = None;
            }
            Err(why) => {
                told.failed += 1;
                told.failure = Some(why.to_owned());
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, where the program can reload.
    pub(crate) fn known(&self) -> Option<Told> {
        self.reload.get()?;
        Some(self.told().clone())
    }

    /// Reloads, where the program can.
    pub(crate) fn reload(&self) -> Option<BoxFuture<'static, Result<Reloaded, ReloadRefused>>> {
        self.reload.get().map(|reload| reload())
    }
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl Default for Told {
    fn default() -> Self {
        Self {
            generation: 1,
            succeeded: 0,
            failed: 0,
            last: SystemTime::now(),
            failure: None,
        }
    }
}
