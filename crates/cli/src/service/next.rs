//! The process before this one, and the one that comes next: `--take-over`.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::bail;
#[cfg(feature = "admin")]
use couplet_connector::endpoint::Address;
use tokio::task::JoinHandle;

pub(super) use super::take_over::Taker;
use super::{
    given::Given,
    relays::Relays,
    successor::{Started, Successions},
    take_over::{self, Items, Offer, Role, Taken},
};
#[cfg(feature = "admin")]
use crate::{
    admin::{AdminEndpoint, AdminServing},
    incoming::Kept,
};
use crate::{config::Config, mistake::Mistake, passed};

/// The flag `--take-over`.
#[derive(Debug)]
pub(crate) struct TakeOver {
    path: PathBuf,
    started: Started,
}

/// The process before, where one is taken over.
pub(super) struct Before {
    taken: Option<Taken>,
    given: Given,
}

/// What the next process gets, beside the relays' sockets.
pub(super) struct Next {
    offer: Offer,
    successions: Successions,
    /// One that has been given the sockets, and starts.
    starting: Option<JoinHandle<io::Result<Taker>>>,
    #[cfg(feature = "admin")]
    admin_sockets: Vec<(Address, Kept)>,
    #[cfg(feature = "admin")]
    pub(super) admin: Option<AdminServing>,
}

/// What another process does.
pub(super) enum NextEvent {
    /// It asks for the sockets.
    Connects(Taker),
    /// It runs with them.
    Runs(Taker),
}

// ===== impl TakeOver =====

impl TakeOver {
    /// To be made before the working directory changes.
    pub(crate) fn new(given: Option<&Path>) -> Result<Self, Mistake> {
        Ok(Self {
            path: take_over::path(given)?,
            started: Started::now(),
        })
    }
}

// ===== impl Before =====

impl Before {
    pub(super) async fn take(take_over: Option<&TakeOver>) -> anyhow::Result<Self> {
        let mut before = Self {
            taken: None,
            given: Given::default(),
        };
        if let Some(take_over) = take_over
            && let Some(mut taken) = Taken::take(&take_over.path).await?
        {
            let mut items = std::mem::take(&mut taken.items);
            passed::inherit(items.take_systemd());
            before.given.items = items;
            before.taken = Some(taken);
        }
        Ok(before)
    }

    /// What can't go from one process to the next while both run.
    pub(super) fn refuse(&self, config: &Config) -> anyhow::Result<()> {
        if self.taken.is_none() {
            return Ok(());
        }
        for relay in &config.relays {
            let capture = relay.plan.capture.as_ref();
            if let Some(path) = capture.and_then(|capture| capture.path()) {
                bail!(
                    "relay {}: the process that runs may be writing to {}, which would be replaced: leave `capture` out, or restart the process",
                    relay.name,
                    path.display()
                );
            }
        }
        Ok(())
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin(&mut self, address: &Address) -> Option<Kept> {
        self.given.items.take(&Role::of_admin(address)?)
    }

    pub(super) fn given(&mut self) -> &mut Given {
        &mut self.given
    }

    /// Tells it that this process runs. Was there one?
    pub(super) async fn finish(self) -> anyhow::Result<bool> {
        match self.taken {
            None => Ok(false),
            Some(taken) => {
                taken.finish().await?;
                // What no relay of this file uses is closed, as at a reload.
                self.given.items.leave_paths(false);
                Ok(true)
            }
        }
    }
}

// ===== impl Next =====

impl Next {
    pub(super) async fn open(
        take_over: Option<TakeOver>,
        before: &mut Before,
    ) -> anyhow::Result<Self> {
        let kept = before.given.items.take(&Role::TakeOver);
        let (offer, started) = match take_over {
            Some(take_over) => (
                Offer::open(&take_over.path, kept).await?,
                Some(take_over.started),
            ),
            None => (Offer::none(), None),
        };
        Ok(Self {
            offer,
            successions: Successions::new(started)?,
            starting: None,
            #[cfg(feature = "admin")]
            admin_sockets: Vec::new(),
            #[cfg(feature = "admin")]
            admin: None,
        })
    }

    #[cfg(feature = "admin")]
    pub(super) fn keep_admin(&mut self, endpoint: &AdminEndpoint) -> io::Result<()> {
        self.admin_sockets = endpoint.kept()?;
        Ok(())
    }

    /// Waits for what comes of another process. Cancel-safe.
    pub(super) async fn event(&mut self) -> NextEvent {
        loop {
            tokio::select! {
                taker = self.offer.next(), if self.starting.is_none() => {
                    return NextEvent::Connects(taker);
                }
                given = started(&mut self.starting) => {
                    self.starting = None;
                    match given {
                        Ok(taker) => return NextEvent::Runs(taker),
                        Err(error) => not_taken_over(&error),
                    }
                }
                () = self.successions.next() => {}
            }
        }
    }

    /// Gives it what it needs to start.
    pub(super) fn give(&mut self, taker: Taker, relays: &Relays) {
        tracing::info!(pid = taker.pid, "another process takes over");
        match self.items(relays) {
            Ok(items) => self.starting = Some(tokio::spawn(taker.give(items))),
            Err(error) => not_taken_over(&error),
        }
    }

    /// All that the next process can use.
    fn items(&self, relays: &Relays) -> io::Result<Items> {
        let mut items = Items::default();
        relays.add_to(&mut items)?;
        for (name, socket) in passed::duplicated()? {
            items.add(Role::Systemd(name), socket);
        }
        #[cfg(feature = "admin")]
        for (address, socket) in &self.admin_sockets {
            if let Some(role) = Role::of_admin(address) {
                items.add(role, socket.try_clone()?);
            }
        }
        self.offer.add_to(&mut items)?;
        Ok(items)
    }

    /// The paths of its Unix sockets are another process's, or this one's.
    pub(super) fn leave_paths(&self, are_left: bool) {
        self.offer.leave_path(are_left);
        #[cfg(feature = "admin")]
        for (_, socket) in &self.admin_sockets {
            take_over::leave_path(socket, are_left);
        }
    }

    /// Accepts nothing more: another process does.
    pub(super) fn leave(&mut self) {
        self.leave_paths(true);
        self.offer = Offer::none();
        #[cfg(feature = "admin")]
        if let Some(admin) = &self.admin {
            admin.leave();
            self.admin_sockets.clear();
        }
    }
}

fn not_taken_over(error: &io::Error) {
    tracing::warn!(%error, "not taken over: this process goes on");
}

/// What has come of the process that starts.
async fn started(starting: &mut Option<JoinHandle<io::Result<Taker>>>) -> io::Result<Taker> {
    match starting {
        Some(starting) => starting.await?,
        None => std::future::pending().await,
    }
}
