//! The command at work: from its plan to its end.

use std::{num::NonZeroUsize, time::Duration};

use anyhow::Context;
use couplet_connector::{
    Connector, Handle,
    endpoint::{Address, Side},
};
use tokio::runtime::Builder;

use crate::{
    log_file::reopen_on_hangup, plan::Plan, side::Endpoint, stacks::start, units::Threads,
};

/// How long the end waits for the disk.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(plan: Plan) -> anyhow::Result<()> {
    let mut runtime = match plan.threads {
        // No thread has to wake another.
        Threads::Count(NonZeroUsize::MIN) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Threads::Count(count) = plan.threads {
        runtime.worker_threads(count.get());
    }
    let runtime = runtime
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let capture = plan.capture.clone();
    let result = runtime.block_on(relay(plan));
    if let Some(capture) = capture
        && !capture.finish(CAPTURE_PATIENCE)
    {
        tracing::warn!("the capture is incomplete");
    }
    // Nothing is left that would have to be waited for; a name look-up may hang in a thread.
    runtime.shutdown_background();
    result
}

async fn relay(plan: Plan) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    if let Some(file) = &plan.access_log {
        file.open()?;
        reopen_on_hangup(file.clone())?;
    }
    if let Some(capture) = &plan.capture {
        capture
            .start()
            .with_context(|| format!("{} can't be captured to", capture.path().display()))?;
    }
    for (side, spec) in [(Side::A, &plan.a), (Side::B, &plan.b)] {
        if let Address::Dial(addr) = &spec.endpoint.address {
            tracing::info!(%side, target = %addr, "dials");
        }
    }
    let flags = plan.endpoint_flags;
    let ends = (
        plan.a.endpoint.open(flags).await?,
        plan.b.endpoint.open(flags).await?,
    );
    let handle = match ends {
        (Endpoint::Listen(a), Endpoint::Listen(b)) => {
            start(Connector::server_to_server(a, b), &plan)
        }
        (Endpoint::Listen(a), Endpoint::Dial(b)) => start(Connector::server_to_socket(a, b), &plan),
        (Endpoint::Dial(a), Endpoint::Listen(b)) => start(Connector::socket_to_server(a, b), &plan),
        (Endpoint::Dial(a), Endpoint::Dial(b)) => start(Connector::socket_to_socket(a, b), &plan),
    };
    tokio::select! {
        done = handle.done() => Ok(done?),
        () = signals.next() => drain(&handle, plan.drain_timeout.value, signals).await,
    }
}

async fn drain(
    handle: &Handle,
    grace: Option<Duration>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let live = handle.live_pairs();
    tracing::info!(
        live,
        ?grace,
        "stopping: no new connections, live pairs may end"
    );
    let drained = async {
        match grace {
            Some(grace) => handle.shutdown(grace).await,
            None => handle.shutdown(Duration::MAX).await,
        }
    };
    tokio::select! {
        drained = drained => Ok(drained?),
        () = signals.next() => {
            tracing::info!(live = handle.live_pairs(), "stopping at once");
            Ok(handle.close().await?)
        }
    }
}

/// The signals that ask for an end.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
