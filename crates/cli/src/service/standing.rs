//! The state of the relays of a file, for the admin endpoint and systemd.

use std::time::Duration;

use super::{changes::Changes, relays::Relays, running::Ending};
use crate::mistake::Mistakes;

impl Relays {
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    pub(super) fn are_done(&self) -> bool {
        self.ending.is_empty() && self.running.values().all(|relay| relay.has_ended)
    }

    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    pub(super) fn grace(&self) -> Option<Duration> {
        self.grace
    }

    pub(super) fn live(&self) -> usize {
        let running = self.running.values().map(|relay| relay.handle.live_pairs());
        // The statistics of a relay and of those before it are the same.
        let is_gone = |relay: &&Ending| !self.running.contains_key(&relay.name);
        let gone = self.ending.iter().filter(is_gone);
        running
            .chain(gone.map(|relay| relay.handle.live_pairs()))
            .sum()
    }

    /// One line, for systemd.
    pub(super) fn status(&self) -> String {
        let waiting = self.running.values().map(|relay| {
            let snapshot = relay.handle.snapshot();
            snapshot.a.waiting + snapshot.b.waiting
        });
        let waiting: u64 = waiting.sum();
        format!(
            "{} relays, {} pairs, {waiting} waiting; generation {}",
            self.running.len(),
            self.live(),
            self.generation
        )
    }

    /// Tells the admin endpoint how a reload went.
    pub(super) fn tell(&self, outcome: &Result<Changes, Mistakes>) {
        #[cfg(feature = "admin")]
        if let Some(admin) = &self.admin {
            self.show_words();
            match outcome {
                Ok(changes) => admin.reloaded(Ok(changes.generation)),
                Err(mistakes) => admin.reloaded(Err(&crate::admin::reload::text(mistakes))),
            }
        }
        #[cfg(not(feature = "admin"))]
        let _ = outcome;
    }

    /// Shows the relays on this endpoint, from now on, and takes its requests.
    #[cfg(feature = "admin")]
    pub(super) fn show(
        &mut self,
        admin: Option<couplet_admin::Admin>,
        ask: tokio::sync::mpsc::Sender<super::changes::Request>,
    ) {
        let Some(admin) = admin else {
            return;
        };
        for relay in self.running.values() {
            admin.add(crate::admin::describe::relay(&relay.plan, &relay.handle));
        }
        admin.on_reload(move || crate::admin::reload::ask(ask.clone()));
        let program = crate::admin::program::Process::new(Some(self.words.clone()));
        admin.program(program);
        self.show_words();
        self.admin = Some(admin);
    }

    #[cfg(feature = "admin")]
    fn show_words(&self) {
        let running = self.running.iter();
        self.words
            .set(running.map(|(name, relay)| (name.as_str(), &relay.words)));
    }
}
