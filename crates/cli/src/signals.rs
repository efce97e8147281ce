//! Requests for an end: signals, and the admin endpoint.

use tokio::sync::Semaphore;

/// How often an end is yet to be asked for, as if by a signal.
static ASKED: Semaphore = Semaphore::const_new(0);

/// Like as many signals: the first one drains, a second one ends at once.
#[cfg(feature = "admin")]
pub(crate) fn ask(times: usize) {
    ASKED.add_permits(times);
}

async fn asked() {
    if let Ok(asked) = ASKED.acquire().await {
        asked.forget();
    }
}

/// Those that ask for an end.
#[cfg(unix)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        use anyhow::Context;
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = asked() => {}
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => if pressed.is_err() {
                std::future::pending().await
            },
            () = asked() => {}
        }
    }
}
