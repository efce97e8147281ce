//! `couplet run FILE`: the relays that a file describes, in one process.

pub(crate) mod changes;
mod notify;
mod relays;
mod running;

use std::{num::NonZeroUsize, thread, time::Duration};

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use self::{
    changes::{Changes, Request},
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

/// Runs to the end.
pub(crate) fn run(source: &Source, config: Config) -> anyhow::Result<()> {
    let threads = match config.process.common.threads {
        Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        Threads::Count(count) => count,
    };
    let runtime = runtime(threads).context("the runtime could not be started")?;
    let result = runtime.block_on(serve(source, config));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    result
}

async fn serve(source: &Source, config: Config) -> anyhow::Result<()> {
    // First of all: no relay dies of SIGHUP.
    let mut hangups = Hangups::new()?;
    let mut signals = Signals::new()?;
    let notifier = Notifier::from_env();
    #[cfg(feature = "admin")]
    let admin = config.process.common.admin.spec()?.bind().await?;
    let started = tokio::select! {
        started = Relays::start(config) => started,
        () = signals.next() => {
            tracing::info!("stopped before all relays ran");
            return Ok(());
        }
    };
    let mut relays = started?;
    let (ask, mut requests) = mpsc::channel::<Request>(1);
    #[cfg(feature = "admin")]
    relays.show(admin.serve(std::iter::empty()), ask.clone());
    drop(ask);
    tracing::info!(file = %source, count = relays.count(), "all relays run");
    notifier.ready();
    let mut ticks = notifier.ticks();
    loop {
        tokio::select! {
            () = relays.ended() => {
                if relays.are_done() {
                    break;
                }
            }
            () = hangups.recv() => {
                let outcome = Box::pin(reload(source, &mut relays, &notifier)).await;
                drop(outcome);
            }
            Some(request) = requests.recv() => {
                let outcome = Box::pin(reload(source, &mut relays, &notifier)).await;
                // The client may have left meanwhile.
                let _ = request.send(outcome);
            }
            _ = ticks.tick() => notifier.tick(&relays.status()),
            () = signals.next() => {
                requests.close();
                drain(&mut relays, &mut signals, &notifier).await;
                break;
            }
        }
    }
    relays.finish().await;
    match relays.failed() {
        0 => Ok(()),
        failed => bail!("{failed} relays failed"),
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
        Ok(Ok(config)) => relays.reload(config).await,
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
