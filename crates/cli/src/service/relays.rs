//! The relays of a file while they run, and the step from one file to the next.

use std::{collections::BTreeMap, mem, time::Duration};

use anyhow::Context;
use couplet_connector::{
    ConnectorError, Handle,
    endpoint::{Address, RelayName, Side},
};
use futures::future::join_all;
use tokio::task::JoinSet;

use super::{
    changes::Changes,
    given::Given,
    memory,
    running::{Ending, Place, Prepared, Running, Sockets},
};
use crate::{
    config::{Config, RelayConfig},
    fault_signal, hand_over,
    incoming::Kept,
    mistake::{Mistake, Mistakes},
    own_addresses as own, passed,
    plan::Plan,
    reload::do_all,
    run::{self, join, open},
    side::Endpoint,
};

/// How many relays before the one of a name may have pairs: those of the oldest are ended. As many as with
/// HAProxy.
const GENERATIONS: usize = 50;

/// Those that run, and those that still end.
pub(super) struct Relays {
    pub(super) running: BTreeMap<String, Running>,
    /// Their clients are another relay's by now, or they are gone from the file.
    pub(super) ending: Vec<Ending>,
    ends: JoinSet<(u64, Result<(), ConnectorError>)>,
    process_words: BTreeMap<String, Vec<String>>,
    pub(super) grace: Option<Duration>,
    pub(super) generation: u64,
    next: u64,
    pub(super) failed: usize,
    #[cfg(feature = "admin")]
    pub(super) admin: Option<couplet_admin::Admin>,
    #[cfg(feature = "admin")]
    pub(super) words: crate::admin::program::Running,
    /// What the admin endpoint reads again.
    #[cfg(feature = "admin")]
    pub(super) admin_files: Vec<crate::reload::OnReload>,
}

// ===== impl Relays =====

impl Relays {
    /// Starts all of them, or none.
    pub(super) async fn start(config: Config, given: &mut Given) -> anyhow::Result<Self> {
        refuse_unused(&config)?;
        let mut relays = Self {
            running: BTreeMap::new(),
            ending: Vec::new(),
            ends: JoinSet::new(),
            grace: config.process.common.drain_timeout(),
            process_words: config.process_words,
            generation: 1,
            next: 0,
            failed: 0,
            #[cfg(feature = "admin")]
            admin: None,
            #[cfg(feature = "admin")]
            words: crate::admin::program::Running::default(),
            #[cfg(feature = "admin")]
            admin_files: Vec::new(),
        };
        let mut prepared = Vec::new();
        for relay in config.relays {
            let name = relay.name.clone();
            let named = RelayName::new(&*name);
            let ready = named.scope(relays.prepare(relay, &[], given)).await;
            prepared.push(ready.with_context(|| format!("relay {name}"))?);
        }
        // First of all, so that a client that comes at once finds the relay of its route.
        prepared.iter().for_each(Prepared::take_routes);
        for relay in prepared {
            Box::pin(relays.swap_in(relay)).await?;
        }
        relays.settle()?;
        Ok(relays)
    }

    /// Takes another file's relays: all of them, or changes nothing.
    pub(super) async fn reload(&mut self, config: Config) -> Result<Changes, Mistakes> {
        self.refuse_process_flags(&config)?;
        refuse_unused(&config).map_err(|error| {
            let right = "a side that uses it; or restart the process without the socket";
            vec![Mistake::new(format!("{error:#}"), right)]
        })?;
        let grace = config.process.common.drain_timeout();
        let words = config.process_words;
        let mut changes = Changes::default();
        let mut other = Vec::new();
        for relay in config.relays {
            match self.running.get(&relay.name) {
                Some(running) if running.words == relay.words => changes.same.push(relay.name),
                Some(_) => {
                    changes.changed.push(relay.name.clone());
                    other.push(relay);
                }
                None => {
                    changes.added.push(relay.name.clone());
                    other.push(relay);
                }
            }
        }
        let stays = |name: &String| changes.same.contains(name) || changes.changed.contains(name);
        changes.gone = self
            .running
            .keys()
            .filter(|name| !stays(name))
            .cloned()
            .collect();

        let (mut prepared, mut wrong) = (Vec::new(), Mistakes::new());
        for relay in other {
            let name = relay.name.clone();
            let mut given = Given::default();
            let preparing = self.prepare(relay, &changes.same, &mut given);
            match RelayName::new(&*name).scope(preparing).await {
                Ok(ready) => prepared.push(ready),
                Err(error) => wrong.push(Mistake::new(
                    format!("relay `{name}` can't be started: {error:#}"),
                    "mend it, and reload again",
                )),
            }
        }
        if !wrong.is_empty() {
            drop(prepared);
            self.set_own_addresses();
            return Err(wrong);
        }

        // From here on nothing fails.
        (self.grace, self.process_words) = (grace, words);
        for name in &changes.gone {
            self.let_end(name);
        }
        prepared.iter().for_each(Prepared::take_routes);
        for relay in prepared {
            if let Err(error) = Box::pin(self.swap_in(relay)).await {
                tracing::error!("{error:#}");
            }
        }
        self.prune().await;
        let same = self
            .running
            .iter()
            .filter(|(name, _)| changes.same.contains(name));
        let read_again = same.flat_map(|(name, relay)| {
            let name = RelayName::new(&**name);
            let all = relay.plan.on_reload().into_iter();
            all.map(move |it| it.of(&name))
        });
        #[cfg(feature = "admin")]
        let read_again = read_again.chain(self.admin_files.iter().cloned());
        do_all(read_again.collect()).await;
        if let Err(error) = self.settle() {
            tracing::warn!("{error:#}");
        }
        self.generation += 1;
        changes.generation = self.generation;
        Ok(changes)
    }

    fn refuse_process_flags(&self, config: &Config) -> Result<(), Mistakes> {
        let keys = self.process_words.keys().chain(config.process_words.keys());
        let mut keys: Vec<_> = keys.filter(|key| *key != "drain-timeout").collect();
        keys.sort();
        keys.dedup();
        let words = |words: &BTreeMap<String, Vec<String>>, key| words.get(key).cloned();
        keys.retain(|key| words(&self.process_words, *key) != words(&config.process_words, *key));
        let wrong = keys.into_iter().map(|key| {
            Mistake::new(
                format!("`{key}` can't change while the process runs"),
                "leave it as it was, or restart the process",
            )
        });
        let wrong: Mistakes = wrong.collect();
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong),
        }
    }

    /// Opens what the relay needs. A socket of a relay that does not stay as it is is taken over.
    async fn prepare(
        &self,
        mut config: RelayConfig,
        same: &[String],
        given: &mut Given,
    ) -> anyhow::Result<Prepared> {
        let before = self.running.get(&config.name);
        config
            .plan
            .open_logs_beside(before.map(|before| &before.plan))?;
        if let Some(before) = before {
            memory::keep(&mut config.plan, &before.plan);
        }
        let mut take = |of: Place, address: &Address| match given.take(address) {
            Some(kept) => Ok(Some(kept)),
            None => {
                let kept = self.kept(&config.name, of, address, same);
                kept.map(Kept::try_clone).transpose()
            }
        };
        let mut kept = run::Sockets::default();
        for (side, spec) in config.plan.sides.specs() {
            kept.sides[side as usize] = take(Place::Side(side), &spec.endpoint.address)?;
        }
        if let Some(port) = config.plan.cluster_port() {
            kept.cluster = take(Place::Cluster, port)?;
        }
        let ends = open(&config.plan, kept).await?;
        let mut sockets = Sockets::default();
        for ((side, spec), end) in config.plan.sides.specs().zip(&ends.sides) {
            if let Endpoint::Incoming(incoming) = end {
                sockets.keep(Place::Side(side), &spec.endpoint.address, incoming)?;
            }
        }
        #[cfg(feature = "meeting")]
        if let (Some(address), Some(opened)) = (config.plan.cluster_port(), &ends.cluster) {
            sockets.keep(Place::Cluster, address, &opened.port)?;
        }
        Ok(Prepared {
            config,
            ends,
            sockets,
        })
    }

    /// The socket at this address, of the relay of this name, or of another that does not stay as it is.
    fn kept(&self, name: &str, of: Place, address: &Address, same: &[String]) -> Option<&Kept> {
        let own = self.running.get(name).into_iter();
        let mut own = own.flat_map(|relay| &relay.sockets.kept);
        if let Some((.., kept)) = own.find(|(at, known, _)| *at == of && known == address) {
            return Some(kept);
        }
        // A port that the system chooses is another one each time.
        if matches!(address, Address::Listen(addr) if addr.port() == 0) {
            return None;
        }
        let changing = self.running.iter().filter(|(name, _)| !same.contains(name));
        let mut sockets = changing.flat_map(|(_, relay)| &relay.sockets.kept);
        let found = sockets.find(|(_, known, _)| known == address);
        found.map(|(.., kept)| kept)
    }

    /// Starts a relay, in place of the one of its name.
    async fn swap_in(&mut self, relay: Prepared) -> anyhow::Result<()> {
        let Prepared {
            config: RelayConfig { name, words, plan },
            ends,
            sockets,
        } = relay;
        let before = self.running.remove(&name);
        let joining = async { join(&plan, ends, before.as_ref().map(|before| &before.handle)) };
        let handle = RelayName::new(&*name).scope(joining).await?;
        let [a, b] = [Side::A, Side::B].map(|side| {
            let addr = handle.local_addr(side).ok();
            addr.map(tracing::field::display)
        });
        tracing::info!(relay = %name, a, b, "running");
        if let Some(before) = before {
            self.replaced(before.into_ending(&name), &plan, &handle);
        }
        let number = self.next;
        self.next += 1;
        let ends = handle.clone();
        self.ends.spawn(async move { (number, ends.done().await) });
        #[cfg(feature = "admin")]
        if let Some(admin) = &self.admin {
            admin.add(crate::admin::describe::relay(&plan, &handle));
        }
        let running = Running {
            number,
            words,
            plan,
            handle,
            sockets,
            has_ended: false,
        };
        self.running.insert(name, running);
        Ok(())
    }

    /// The pairs of a relay that is changed go on, within bounds.
    fn replaced(&mut self, before: Ending, plan: &Plan, handle: &Handle) {
        let name = RelayName::new(&*before.name);
        if let (Some(time), Some(last)) = (plan.generations.value, before.last) {
            let handle = handle.clone();
            tokio::spawn(name.clone().scope(async move {
                tokio::time::sleep(time).await;
                Ending::cut(&handle, last);
            }));
        }
        self.ending.push(before);
        let name_is = name.as_str();
        let same = self
            .ending
            .iter()
            .filter(|relay| Some(&*relay.name) == name_is);
        let mut too_many = same.rev().skip(GENERATIONS);
        if let Some(last) = too_many.find_map(|relay| relay.last) {
            name.in_scope(|| Ending::cut(handle, last));
        }
    }

    /// A relay that is gone from the file drains alone.
    fn let_end(&mut self, name: &str) {
        let Some(relay) = self.running.remove(name) else {
            return;
        };
        let grace = self.grace.unwrap_or(Duration::MAX);
        let relay = relay.into_ending(name);
        let handle = relay.handle.clone();
        tracing::info!(
            relay = %name,
            live = handle.live_pairs(),
            "gone from the file: drains"
        );
        tokio::spawn(async move { handle.shutdown(grace).await });
        self.ending.push(relay);
    }

    /// What follows from which relays there are.
    fn settle(&self) -> anyhow::Result<()> {
        self.set_own_addresses();
        self.set_routes();
        let faults = self.running.values().flat_map(|relay| relay.plan.faults());
        fault_signal::listen(faults.collect())
    }

    fn set_own_addresses(&self) {
        let addrs = self.running.values().flat_map(|relay| &relay.sockets.addrs);
        own::set(addrs.cloned().collect());
    }

    /// Routes lead to those that run.
    fn set_routes(&self) {
        let named = self.running.iter();
        let relays =
            named.filter_map(|(name, relay)| Some((name.clone(), relay.sockets.routes()?)));
        hand_over::set(relays.collect());
    }

    /// Waits until a relay has ended.
    pub(super) async fn ended(&mut self) {
        let Some(ended) = self.ends.join_next().await else {
            return std::future::pending().await;
        };
        let Ok((number, result)) = ended else {
            return;
        };
        if let Some(relay) = self.ending.iter_mut().find(|relay| relay.number == number) {
            relay.has_ended = true;
            return self.prune().await;
        }
        let running = self
            .running
            .iter_mut()
            .find(|(_, relay)| relay.number == number);
        let Some((name, relay)) = running else {
            return;
        };
        relay.has_ended = true;
        // No relay accepts there any more.
        relay.sockets = Sockets::default();
        let name = name.clone();
        // Before the log tells of it, so that no route leads to a relay that is known to have ended.
        self.set_routes();
        match result {
            Ok(()) => tracing::info!(relay = %name, "the relay has ended"),
            Err(error) => {
                self.failed += 1;
                let error = anyhow::Error::from(error);
                tracing::error!(
                    relay = %name,
                    error = format!("{error:#}"),
                    "the relay has failed"
                );
            }
        }
    }

    /// Forgets those whose pairs have ended.
    async fn prune(&mut self) {
        let ending = mem::take(&mut self.ending);
        let (ended, ending) = ending.into_iter().partition(|relay| relay.has_ended);
        self.ending = ending;
        let ended: Vec<Ending> = ended;
        #[cfg(feature = "admin")]
        for relay in &ended {
            let is_left = |other: &Ending| other.name == relay.name;
            if let Some(admin) = &self.admin
                && !self.running.contains_key(&relay.name)
                && !self.ending.iter().any(is_left)
            {
                admin.remove(&relay.name);
            }
        }
        finish_logs(ended.into_iter().map(|relay| relay.plan).collect()).await;
    }

    /// Accepts nothing more: another process has the sockets. Waits until the last pair has ended.
    pub(super) fn leave(&mut self) -> impl Future<Output = ()> + use<> {
        let handles = self.handles();
        for handle in &handles {
            handle.leave();
        }
        for relay in self.running.values_mut() {
            relay.sockets = Sockets::default();
        }
        async move {
            for handle in &handles {
                // What became of it has been logged.
                let _ = handle.done().await;
            }
        }
    }

    /// Lets the pairs of all relays end, within this time.
    pub(super) fn drain(&mut self, grace: Duration) -> impl Future<Output = ()> + use<> {
        let handles = self.handles();
        for relay in self.running.values_mut() {
            relay.sockets = Sockets::default();
        }
        async move {
            join_all(handles.iter().map(|handle| handle.shutdown(grace))).await;
        }
    }

    /// Ends all pairs.
    pub(super) async fn close(&self) {
        join_all(self.handles().iter().map(Handle::close)).await;
    }

    fn handles(&self) -> Vec<Handle> {
        let running = self.running.values().map(|relay| &relay.handle);
        let ending = self.ending.iter().map(|relay| &relay.handle);
        running.chain(ending).cloned().collect()
    }

    /// Writes what is left to write, for the end of the program.
    pub(super) async fn finish(&mut self) {
        let running = mem::take(&mut self.running).into_values();
        let ending = mem::take(&mut self.ending).into_iter();
        let plans = running.map(|relay| relay.plan);
        let plans: Vec<_> = plans.chain(ending.map(|relay| relay.plan)).collect();
        join_all(plans.iter().map(Plan::leave_others)).await;
        finish_logs(plans).await;
    }
}

/// Each socket of systemd is to be a side's.
fn refuse_unused(config: &Config) -> anyhow::Result<()> {
    let listening = config
        .relays
        .iter()
        .flat_map(|relay| relay.plan.listening());
    let addresses = listening.map(|it| it.address());
    #[cfg(feature = "admin")]
    let admin = config.process.common.admin.spec()?;
    #[cfg(feature = "admin")]
    let addresses = addresses.chain(admin.addresses());
    passed::refuse_unused(addresses)
}

/// Files may take their time.
async fn finish_logs(plans: Vec<Plan>) {
    let finishing = tokio::task::spawn_blocking(move || {
        for plan in &plans {
            plan.finish_logs();
        }
    });
    if let Err(error) = finishing.await {
        tracing::error!(%error, "the task that ends the logs panicked");
    }
}
