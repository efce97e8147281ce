//! `couplet run FILE`: the relays that a file describes, in one process.

pub(crate) mod changes;
mod given;
mod handed_on;
mod memory;
#[cfg(unix)]
mod next;
#[cfg(not(unix))]
#[path = "no_next.rs"]
mod next;
mod notify;
mod relays;
mod running;
mod standing;
#[cfg(unix)]
pub(crate) mod successor;
#[cfg(unix)]
mod take_over;

use std::{num::NonZeroUsize, thread, time::Duration};

use anyhow::{Context, bail};
use tokio::sync::mpsc;

pub(crate) use self::next::TakeOver;

use self::{
    changes::{Changes, Request},
    next::{Before, Next, NextEvent, Taker},
    notify::Notifier,
    relays::Relays,
};
use crate::{
    config::{Config, Source, count},
    mistake::{Mistake, Mistakes},
    reload::Hangups,
    run::{SHUTDOWN_GRACE, runtime},
    signals::Signals,
    units::Threads,
};

/// Runs to the end. With a path, takes over the process that offers its sockets there, and offers them to
/// the next.
pub(crate) fn run(
    source: &Source,
    config: Config,
    take_over: Option<TakeOver>,
) -> anyhow::Result<()> {
    let threads = match config.process.common.threads {
        Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        Threads::Count(count) => count,
    };
    let runtime = runtime(threads).context("the runtime could not be started")?;
    let result = runtime.block_on(Service::run(source, config, take_over));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    result
}

/// The process at work.
struct Service<'a> {
    source: &'a Source,
    relays: Relays,
    notifier: Notifier,
    signals: Signals,
    next: Next,
}

impl<'a> Service<'a> {
    async fn run(
        source: &'a Source,
        config: Config,
        take_over: Option<TakeOver>,
    ) -> anyhow::Result<()> {
        // First of all: no relay dies of SIGHUP.
        let hangups = Hangups::new()?;
        let mut signals = Signals::new()?;
        let notifier = Notifier::from_env();
        let mut before = Before::take(take_over.as_ref()).await?;
        before.refuse(&config)?;
        #[cfg(feature = "admin")]
        let admin = {
            let spec = config.process.common.admin.spec()?;
            let endpoint = spec.bind_or_adopt(|address| before.admin(address)).await?;
            (spec, endpoint)
        };
        let started = tokio::select! {
            started = Relays::start(config, before.given()) => started,
            () = signals.next() => {
                tracing::info!("stopped before all relays ran");
                return Ok(());
            }
        };
        let relays = started?;
        let (ask, requests) = mpsc::channel::<Request>(1);
        let next = Next::open(take_over, &mut before).await?;
        #[cfg(feature = "admin")]
        let (mut relays, mut next) = (relays, next);
        #[cfg(feature = "admin")]
        {
            let (spec, endpoint) = admin;
            next.keep_admin(&endpoint)?;
            let serving = endpoint.serve(std::iter::empty());
            relays.admin_files = spec.on_reload().collect();
            relays.show(
                serving.as_ref().map(|serving| serving.admin.clone()),
                ask.clone(),
            );
            next.admin = serving;
        }
        drop(ask);
        if before.finish().await? {
            relays.leave_paths(false);
            next.leave_paths(false);
        }
        tracing::info!(file = %source, count = relays.count(), "all relays run");
        notifier.ready();
        let mut service = Self {
            source,
            relays,
            notifier,
            signals,
            next,
        };
        Box::pin(service.serve(hangups, requests)).await;
        service.relays.finish().await;
        match service.relays.failed() {
            0 => Ok(()),
            failed => bail!("{failed} relays failed"),
        }
    }

    /// Until the last relay has ended, or all have drained.
    async fn serve(&mut self, mut hangups: Hangups, mut requests: mpsc::Receiver<Request>) {
        let mut ticks = self.notifier.ticks();
        loop {
            tokio::select! {
                () = self.relays.ended() => {
                    if self.relays.are_done() {
                        return;
                    }
                }
                () = hangups.recv() => drop(self.reload().await),
                Some(request) = requests.recv() => {
                    let outcome = self.reload().await;
                    // The client may have left meanwhile.
                    let _ = request.send(outcome);
                }
                _ = ticks.tick() => self.notifier.tick(&self.relays.status()),
                () = self.signals.next() => {
                    requests.close();
                    return self.drain().await;
                }
                event = self.next.event() => match event {
                    NextEvent::Connects(taker) => self.next.give(taker, &self.relays),
                    NextEvent::Runs(taker) => {
                        requests.close();
                        return self.leave_to(taker).await;
                    }
                },
            }
        }
    }

    async fn reload(&mut self) -> Result<Changes, Mistakes> {
        Box::pin(reload(self.source, &mut self.relays, &self.notifier)).await
    }

    async fn drain(&mut self) {
        drain(&mut self.relays, &mut self.signals, &self.notifier).await;
    }

    /// Another process runs in place of this one, whose pairs go on as long as they like.
    async fn leave_to(&mut self, taker: Taker) {
        self.notifier.main_is(taker.pid);
        self.relays.leave_paths(true);
        self.next.leave();
        let ended = self.relays.leave();
        tracing::info!(
            pid = taker.pid,
            live = self.relays.live(),
            "taken over: no new connections, live pairs go on"
        );
        taker.left().await;
        tokio::select! {
            () = ended => {}
            () = self.signals.next() => self.drain().await,
        }
    }
}

/// Reads the file again: takes all of it, or changes nothing.
async fn reload(
    source: &Source,
    relays: &mut Relays,
    notifier: &Notifier,
) -> Result<Changes, Mistakes> {
    notifier.reloading();
    let reading = source.clone();
    let read = tokio::task::spawn_blocking(move || reading.load()).await;
    let outcome = match read {
        Ok(Ok(config)) => Box::pin(relays.reload(config)).await,
        Ok(Err(mistakes)) => Err(mistakes),
        Err(panic) => Err(vec![Mistake::new(
            format!("the file could not be read: {panic}"),
            "mend it, and reload again",
        )]),
    };
    match &outcome {
        Ok(changes) => tracing::info!(
            generation = %changes.generation,
            changed = changes.changed.join(", "),
            added = changes.added.join(", "),
            gone = changes.gone.join(", "),
            same = changes.same.join(", "),
            "reloaded"
        ),
        Err(mistakes) => {
            for mistake in mistakes {
                tracing::error!("{mistake}");
            }
            tracing::error!("{}: nothing has changed", count(mistakes));
        }
    }
    relays.tell(&outcome);
    notifier.ready();
    notifier.tick(&relays.status());
    outcome
}

/// Lets the pairs of all relays end.
async fn drain(relays: &mut Relays, signals: &mut Signals, notifier: &Notifier) {
    let grace = relays.grace();
    notifier.stopping();
    tracing::info!(
        live = relays.live(),
        grace = grace.map(|grace| grace.as_secs_f64()),
        "stopping: no new connections, live pairs may end"
    );
    let drained = relays.drain(grace.unwrap_or(Duration::MAX));
    tokio::pin!(drained);
    let mut ticks = notifier.ticks();
    let is_drained = loop {
        tokio::select! {
            () = &mut drained => break true,
            // systemd waits on as long as it is told to.
            _ = ticks.tick() => notifier.extend(),
            () = signals.next() => break false,
        }
    };
    if !is_drained {
        tracing::info!(live = relays.live(), "stopping at once");
        relays.close().await;
    }
}
