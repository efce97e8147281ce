//! The command at work: from its plan to its end.

use std::{io, num::NonZeroUsize, time::Duration};

use anyhow::Context;
use couplet_connector::{Connector, Handle, endpoint::Address};
use tokio::runtime::{Builder, Runtime};

use crate::{hangup, plan::Plan, side::Endpoint, signals::Signals, stacks::start, switch};

/// How long the end waits for the disk.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(plan: Plan) -> anyhow::Result<()> {
    let runtime = runtime(plan.threads()).context("the runtime could not be started")?;
    let capture = plan.capture.clone();
    let access_log = plan.access_log.clone();
    let result = runtime.block_on(relay(plan));
    if let Some(capture) = capture
        && !capture.finish(CAPTURE_PATIENCE)
    {
        tracing::warn!("the capture is incomplete");
    }
    if let Some(access_log) = access_log {
        let missing = access_log.lines().finish();
        if missing > 0 {
            tracing::warn!(lines = missing, "the access log is incomplete");
        }
    }
    // Nothing is left that would have to be waited for; a name look-up may hang in a thread.
    runtime.shutdown_background();
    result
}

/// A thread that is alone never has to wake another.
fn runtime(threads: NonZeroUsize) -> io::Result<Runtime> {
    let mut builder = match threads {
        NonZeroUsize::MIN => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.get()).enable_all().build()
}

async fn relay(plan: Plan) -> anyhow::Result<()> {
    if let Some(file) = &plan.access_log {
        file.open()?;
    }
    if let Some(capture) = &plan.capture {
        capture.start().with_context(|| match capture.path() {
            Some(path) => format!("{} can't be captured to", path.display()),
            None => "standard output can't be captured to".into(),
        })?;
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
    let a = plan.a.endpoint.open(plan.endpoint_flags).await?;
    let relay = match (a, &plan.meeting) {
        (Endpoint::Comes(a), Some(meeting)) => {
            start(Connector::rendezvous(a, meeting.keyed.clone()), &plan)
        }
        (a, _) => {
            let b = plan.b.endpoint.open(plan.endpoint_flags).await?;
            join(a, b, &plan)
        }
    };
    tokio::select! {
        done = relay.done() => Ok(done?),
        () = signals.next() => drain(&relay, plan.drain_timeout.value, signals).await,
    }
}

/// Joins two sides, as the plan wants it.
fn join(a: Endpoint, b: Endpoint, plan: &Plan) -> Handle {
    match (a, b) {
        (Endpoint::Comes(a), Endpoint::Comes(b)) => start(Connector::server_to_server(a, b), plan),
        (Endpoint::Comes(a), Endpoint::Dial(b)) => start(Connector::server_to_socket(a, b), plan),
        (Endpoint::Dial(a), Endpoint::Comes(b)) => start(Connector::socket_to_server(a, b), plan),
        (Endpoint::Dial(a), Endpoint::Dial(b)) => start(Connector::socket_to_socket(a, b), plan),
    }
}

async fn drain(
    relay: &Handle,
    grace: Option<Duration>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    tracing::info!(
        live = relay.live_pairs(),
        ?grace,
        "stopping: no new connections, live pairs may end"
    );
    tokio::select! {
        drained = relay.shutdown(grace.unwrap_or(Duration::MAX)) => Ok(drained?),
        () = signals.next() => {
            tracing::info!(live = relay.live_pairs(), "stopping at once");
            Ok(relay.close().await?)
        }
    }
}
