//! The command at work: from its plan to its end.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use couplet_connector::{Connector, Handle, endpoint::Address};
use futures::future::{join_all, try_join_all};
use tokio::runtime::{Builder, Runtime};

#[cfg(target_os = "linux")]
use crate::apart;
use crate::{
    hangup,
    plan::{Plan, Shape},
    side::Endpoint,
    signals::Signals,
    stacks::start,
    switch,
};

/// How long the end waits for the disk.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(plan: Plan) -> anyhow::Result<()> {
    let runtime = match plan.shape() {
        Shape::One | Shape::Apart(_) => single_threaded()?,
        Shape::Together(count) => Builder::new_multi_thread()
            .worker_threads(count.get())
            .enable_all()
            .build()
            .context(NO_RUNTIME)?,
    };
    let capture = plan.capture.clone();
    let access_log = plan.access_log.clone();
    let result = runtime.block_on(relay(Arc::new(plan)));
    if let Some(capture) = capture
        && !capture.finish(CAPTURE_PATIENCE)
    {
        tracing::warn!("the capture is incomplete");
    }
    if let Some(access_log) = access_log {
        access_log.lines().finish();
    }
    // Nothing is left that would have to be waited for; a name look-up may hang in a thread.
    runtime.shutdown_background();
    result
}

pub(crate) fn single_threaded() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context(NO_RUNTIME)
}

const NO_RUNTIME: &str = "the runtime could not be started";

async fn relay(plan: Arc<Plan>) -> anyhow::Result<()> {
    if let Some(file) = &plan.access_log {
        file.open()?;
    }
    if let Some(capture) = &plan.capture {
        capture
            .start()
            .with_context(|| format!("{} can't be captured to", capture.path().display()))?;
    }
    // What is opened above may wait for others, and until here a signal ends that.
    let mut signals = Signals::new()?;
    hangup::listen(plan.on_hangup())?;
    switch::listen(plan.faults())?;
    for (side, spec) in plan.sides() {
        if let Address::Dial(addr) = &spec.endpoint.address {
            tracing::info!(%side, target = %addr, "dials");
        }
    }
    let relays = match plan.shape() {
        #[cfg(target_os = "linux")]
        Shape::Apart(count) => apart::start_all(&plan, count).await?,
        _ => {
            let a = plan.a.endpoint.open(plan.endpoint_flags).await?;
            vec![match (a, &plan.meeting) {
                (Endpoint::Comes(a), Some(meeting)) => {
                    start(Connector::rendezvous(a, meeting.keyed.clone()), &plan)
                }
                (a, _) => {
                    let b = plan.b.endpoint.open(plan.endpoint_flags).await?;
                    join(a, b, &plan)
                }
            }]
        }
    };
    tokio::select! {
        done = try_join_all(relays.iter().map(Handle::done)) => Ok(done.map(drop)?),
        () = signals.next() => drain(&relays, plan.drain_timeout.value, signals).await,
    }
}

/// Joins two sides, as the plan wants it.
pub(crate) fn join(a: Endpoint, b: Endpoint, plan: &Plan) -> Handle {
    match (a, b) {
        (Endpoint::Comes(a), Endpoint::Comes(b)) => start(Connector::server_to_server(a, b), plan),
        (Endpoint::Comes(a), Endpoint::Dial(b)) => start(Connector::server_to_socket(a, b), plan),
        (Endpoint::Dial(a), Endpoint::Comes(b)) => start(Connector::socket_to_server(a, b), plan),
        (Endpoint::Dial(a), Endpoint::Dial(b)) => start(Connector::socket_to_socket(a, b), plan),
    }
}

async fn drain(
    relays: &[Handle],
    grace: Option<Duration>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let live = || relays.iter().map(Handle::live_pairs).sum::<usize>();
    tracing::info!(
        live = live(),
        ?grace,
        "stopping: no new connections, live pairs may end"
    );
    let grace = grace.unwrap_or(Duration::MAX);
    let drained = join_all(relays.iter().map(|relay| relay.shutdown(grace)));
    tokio::select! {
        drained = drained => Ok(drained.into_iter().collect::<Result<_, _>>()?),
        () = signals.next() => {
            tracing::info!(live = live(), "stopping at once");
            let closed = join_all(relays.iter().map(Handle::close)).await;
            Ok(closed.into_iter().collect::<Result<_, _>>()?)
        }
    }
}
