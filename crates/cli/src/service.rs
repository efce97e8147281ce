//! `couplet run FILE`: the relays that a file describes, in one process.

use std::{num::NonZeroUsize, thread, time::Duration};

use anyhow::Context;
use couplet_connector::{Handle, endpoint::Side};
use futures::future::join_all;

use crate::{
    config::{Config, Source},
    fault_signal,
    plan::Plan,
    reload::Hangups,
    run::{SHUTDOWN_GRACE, runtime, start},
    signals::Signals,
    units::Threads,
};

/// A relay at work.
struct Running {
    plan: Plan,
    handle: Handle,
}

/// Runs to the end.
pub(crate) fn run(source: &Source, config: Config) -> anyhow::Result<()> {
    let threads = match config.process.common.threads {
        Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        Threads::Count(count) => count,
    };
    let runtime = runtime(threads).context("the runtime could not be started")?;
    let result = runtime.block_on(relays(source, config));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    result
}

async fn relays(source: &Source, config: Config) -> anyhow::Result<()> {
    // First of all: no relay dies of SIGHUP.
    let hangups = Hangups::new()?;
    let mut signals = Signals::new()?;
    let on_reload = config
        .relays
        .iter()
        .flat_map(|relay| relay.plan.on_reload());
    hangups.listen(on_reload.collect());
    let faults = config.relays.iter().flat_map(|relay| relay.plan.faults());
    fault_signal::listen(faults.collect())?;
    let grace = config.process.common.drain_timeout();
    #[cfg(feature = "admin")]
    let admin = config.process.common.admin.spec()?.bind().await?;
    let mut running = Vec::new();
    for relay in config.relays {
        let name = &relay.name;
        let start = async {
            relay.plan.open_logs()?;
            start(&relay.plan).await
        };
        let started = tokio::select! {
            started = start => started.with_context(|| format!("relay {name}")),
            () = signals.next() => Ok(None.ok_or_else(|| anyhow::anyhow!("stopped"))?),
        };
        match started {
            Ok(handle) => {
                tell(name, &handle);
                running.push(Running {
                    plan: relay.plan,
                    handle,
                });
            }
            Err(error) => {
                join_all(running.iter().map(|relay| relay.handle.close())).await;
                return Err(error);
            }
        }
    }
    #[cfg(feature = "admin")]
    admin.serve(
        running
            .iter()
            .map(|relay| crate::admin::describe::relay(&relay.plan, &relay.handle)),
    );
    tracing::info!(file = %source, count = running.len(), "all relays run");
    let all_done = join_all(running.iter().map(|relay| async {
        let done = relay.handle.done().await;
        if let Err(error) = &done {
            tracing::error!(
                relay = relay.plan.name,
                error = format!("{error:#}"),
                "the relay ended"
            );
        }
        done
    }));
    tokio::pin!(all_done);
    let ended = tokio::select! {
        ended = &mut all_done => ended,
        () = signals.next() => {
            drain(&running, grace, &mut signals).await;
            all_done.await
        }
    };
    join_all(running.iter().map(|relay| relay.plan.leave_others())).await;
    for relay in &running {
        relay.plan.finish_logs();
    }
    let failed = ended.iter().filter(|ended| ended.is_err()).count();
    match failed {
        0 => Ok(()),
        failed => anyhow::bail!("{failed} of {} relays failed", running.len()),
    }
}

/// Says that a relay runs, and where it listens.
fn tell(relay: &str, handle: &Handle) {
    let [a, b] = [Side::A, Side::B].map(|side| {
        let addr = handle.local_addr(side).ok();
        addr.map(|addr| addr.to_string())
    });
    tracing::info!(relay, a, b, "running");
}

/// Lets the pairs of all relays end.
async fn drain(running: &[Running], grace: Option<Duration>, signals: &mut Signals) {
    let live = || {
        running
            .iter()
            .map(|relay| relay.handle.live_pairs())
            .sum::<usize>()
    };
    tracing::info!(
        live = live(),
        grace = grace.map(|grace| grace.as_secs_f64()),
        "stopping: no new connections, live pairs may end"
    );
    let grace = grace.unwrap_or(Duration::MAX);
    tokio::select! {
        _ = join_all(running.iter().map(|relay| relay.handle.shutdown(grace))) => {}
        () = signals.next() => {
            tracing::info!(live = live(), "stopping at once");
            join_all(running.iter().map(|relay| relay.handle.close())).await;
        }
    }
}
