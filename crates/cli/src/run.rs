//! The command at work: from its plan to its end.

use std::{future::pending, io, num::NonZeroUsize, time::Duration};

use anyhow::Context;
use couplet_connector::{Handle, endpoint::Address, pairing::CloseReason};
use futures::future::Either;
use tokio::runtime::{Builder, Runtime};

#[cfg(target_os = "linux")]
use crate::while_up::WhileUp;
use crate::{
    fault_signal,
    incoming::{Incoming, Kept},
    passed,
    plan::{Plan, Sides},
    reload::Hangups,
    side::{Endpoint, SideSpec},
    signals::Signals,
    stacks,
};

/// How long the pair of a process that hangs up may take to deliver what has been read.
const HANGUP_GRACE: Duration = Duration::from_secs(1);

/// How long what has been written to connections of QUIC may take to arrive.
#[cfg(feature = "quic")]
const FAREWELL: Duration = Duration::from_secs(3);

/// How long a thread that looks a name up may take to notice that the process ends.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_millis(100);

/// Runs to the end. Returns how the only pair ended, where there was to be one.
pub(crate) fn run(plan: Plan) -> anyhow::Result<Option<CloseReason>> {
    let runtime = runtime(plan.threads()).context("the runtime could not be started")?;
    let result = runtime.block_on(relay(&plan));
    plan.finish_logs();
    // Drops the tasks, and with them the files of Unix sockets; a name look-up may hang in a thread.
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    result
}

/// A thread that is alone never has to wake another.
pub(crate) fn runtime(threads: NonZeroUsize) -> io::Result<Runtime> {
    let mut builder = match threads {
        NonZeroUsize::MIN => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.get()).enable_all().build()
}

async fn relay(plan: &Plan) -> anyhow::Result<Option<CloseReason>> {
    // First of all: no relay dies of SIGHUP.
    let hangups = Hangups::new()?;
    plan.open_logs()?;
    // What is opened above may wait for others, and until here a signal ends that.
    let mut signals = Signals::new()?;
    // ssh(1) ends its ProxyCommand with SIGHUP, as a terminal does what runs in it.
    let hangup = match plan.has_stdio() {
        true => Either::Left(hangups.next()),
        false => {
            hangups.listen(plan.on_reload());
            Either::Right(pending())
        }
    };
    tokio::pin!(hangup);
    fault_signal::listen(plan.faults())?;
    for (side, spec) in plan.sides.specs() {
        match &spec.endpoint.address {
            Address::Dial(addr) => tracing::info!(%side, target = %addr, "dials"),
            Address::DialUnix(addr) => tracing::info!(%side, target = %addr, "dials"),
            Address::DialVsock(addr) => tracing::info!(%side, target = %addr, "dials"),
            Address::DialQuic(addr) => {
                tracing::info!(%side, target = format!("quic:{addr}"), "dials");
            }
            Address::DialSrv(name) => {
                tracing::info!(%side, target = format!("srv:{name}"), "dials");
            }
            Address::DialSeveral(targets) => {
                for target in targets {
                    tracing::info!(%side, %target, "dials");
                }
            }
            // Its arguments may be secret.
            Address::Exec(addr) => tracing::info!(%side, program = addr.program(), "starts"),
            _ => {}
        }
    }
    passed::refuse_unused(plan.listening().into_iter().map(|it| it.address()))?;
    #[cfg(feature = "admin")]
    let admin = plan.admin.bind().await?;
    // The name to listen at may have to be looked up.
    let relay = tokio::select! {
        started = start(plan) => started?,
        () = signals.next() => {
            tracing::info!("stopped before anything was listened at");
            return Ok(None);
        }
        () = &mut hangup => return Ok(None),
    };
    #[cfg(feature = "admin")]
    if let Some(serving) = admin.serve([crate::admin::describe::relay(plan, &relay)]) {
        serving
            .admin
            .program(crate::admin::program::Process::new(None));
    }
    let ended = tokio::select! {
        done = relay.done() => {
            done?;
            Ok(relay.last_end().filter(|_| plan.is_one_pair()))
        }
        () = &mut hangup => {
            relay.shutdown(HANGUP_GRACE).await;
            Ok(None)
        }
        () = signals.next() => {
            drain(&relay, plan.drain_timeout.value, signals).await?;
            Ok(None)
        }
    };
    plan.leave_others().await;
    #[cfg(feature = "quic")]
    if plan.sides.specs().any(|(_, side)| side.endpoint.is_quic()) {
        couplet_protocols::quic::delivered(FAREWELL).await;
    }
    ended
}

pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Handle> {
    let ends = open(plan, Sockets::default()).await?;
    join(plan, ends, None)
}

/// Listening sockets that are there already.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) sides: [Option<Kept>; 2],
    /// Of the cluster port.
    pub(crate) cluster: Option<Kept>,
}

/// What is opened for a relay.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) sides: Vec<Endpoint>,
    #[cfg(feature = "meeting")]
    pub(crate) cluster: Option<crate::cluster::OpenCluster>,
}

/// Opens the sides, and takes over the sockets that are there already.
pub(crate) async fn open(plan: &Plan, kept: Sockets) -> anyhow::Result<Ends> {
    let mut sides = Vec::new();
    for ((_, side), kept) in plan.sides.specs().zip(kept.sides) {
        sides.push(
            side.endpoint
                .open_or_adopt(plan.endpoint_flags, kept)
                .await?,
        );
    }
    #[cfg(target_os = "linux")]
    let sides = close_while_down(plan, sides);
    if let Sides::Two(..) = &plan.sides {
        for (side, spec) in plan.sides.specs() {
            let refused = spec.endpoint.refuse_itself();
            refused.with_context(|| format!("side {side}"))?;
        }
    }
    #[cfg(feature = "meeting")]
    let cluster = match plan.cluster() {
        Some(cluster) => Some(Box::pin(cluster.open(plan.endpoint_flags, kept.cluster)).await?),
        None => None,
    };
    Ok(Ends {
        sides,
        #[cfg(feature = "meeting")]
        cluster,
    })
}

/// A port whose clients would be reset may be closed in place of that.
#[cfg(target_os = "linux")]
fn close_while_down(plan: &Plan, ends: Vec<Endpoint>) -> Vec<Endpoint> {
    let Sides::Two(a, b) = &plan.sides else {
        return ends;
    };
    let with_other = ends.into_iter().zip([b, a]);
    let close =
        |(end, other): (Endpoint, &SideSpec)| match (end, other.endpoint.targets.closes_port()) {
            (Endpoint::Incoming(Incoming::Listen(listen)), Some(targets)) => {
                let listen = WhileUp::new(listen, targets.clone());
                Endpoint::Incoming(Incoming::WhileUp(Box::new(listen)))
            }
            (end, _) => end,
        };
    with_other.map(close).collect()
}

/// Starts to join the connections of opened sides, in place of the relay before.
pub(crate) fn join(plan: &Plan, ends: Ends, before: Option<&Handle>) -> anyhow::Result<Handle> {
    let mut sides = ends.sides.into_iter();
    match (&plan.sides, sides.next(), sides.next()) {
        (Sides::Meeting(side, meeting), Some(listen), None) => {
            #[cfg(feature = "meeting")]
            if let (Some(cluster), Some(opened)) = (&meeting.cluster, ends.cluster) {
                return cluster.start(opened, |attachment| {
                    stacks::meet(listen, side, meeting, Some(attachment), plan, before)
                });
            }
            stacks::meet(listen, side, meeting, None, plan, before)
        }
        (Sides::Two(a, b), Some(end_a), Some(end_b)) => {
            #[cfg(feature = "meeting")]
            if let (Some(queue), Some(opened)) = (&plan.queue, ends.cluster) {
                return queue
                    .cluster
                    .start_queue(opened, &queue.name, |attachment| {
                        stacks::queue(end_a, end_b, [a, b], attachment, plan, before)
                    });
            }
            Ok(stacks::join(end_a, end_b, [a, b], plan, before))
        }
        _ => anyhow::bail!("a side was not opened"),
    }
}

pub(crate) async fn drain(
    relay: &Handle,
    grace: Option<Duration>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    tracing::info!(
        live = relay.live_pairs(),
        grace = grace.map(|grace| grace.as_secs_f64()),
        "stopping: no new connections, live pairs may end"
    );
    tokio::select! {
        () = relay.shutdown(grace.unwrap_or(Duration::MAX)) => {}
        () = signals.next() => {
            tracing::info!(live = relay.live_pairs(), "stopping at once");
            relay.close().await;
        }
    }
    Ok(relay.done().await?)
}
