//! SIGUSR2 of a process with `--take-over`: starts the program anew, as it is on disk by then, to take over.

use std::{env, ffi::OsString, io, path::PathBuf, process::Command};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Set in between: that process starts the successor and ends, so that the successor's parent is the
/// system's first process, systemd for example, as if it had been started there.
const DETACH: &str = "COUPLET_DETACH";

/// How this process was started.
#[derive(Clone, Debug)]
pub(super) struct Started {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
}

/// The signal, where it means something.
#[derive(Debug)]
pub(super) struct Successions(Option<(Signal, Started)>);

/// In the process in between: starts the successor.
pub(crate) fn detach() -> Option<anyhow::Result<()>> {
    env::var_os(DETACH)?;
    let start = || {
        let mut command = Command::new(env::current_exe()?);
        command.args(env::args_os().skip(1)).env_remove(DETACH);
        command.spawn().map(drop)
    };
    Some(start().context("the successor could not be started"))
}

// ===== impl Started =====

impl Started {
    /// To be called before the working directory changes, and before the program on disk does.
    pub(super) fn now() -> Self {
        Self {
            program: env::current_exe().unwrap_or_default(),
            arguments: env::args_os().skip(1).collect(),
            folder: env::current_dir().unwrap_or_default(),
        }
    }

    fn start(&self) -> io::Result<()> {
        if self.program.as_os_str().is_empty() || self.folder.as_os_str().is_empty() {
            return Err(io::Error::other(
                "this process does not know its program or folder",
            ));
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env(DETACH, "1")
            // The watchdog of systemd watches this process until it is told of the next.
            .env_remove("WATCHDOG_PID");
        match command.status()? {
            status if status.success() => Ok(()),
            status => Err(io::Error::other(status.to_string())),
        }
    }
}

// ===== impl Successions =====

impl Successions {
    /// Without `started` the signal does what it always does.
    pub(super) fn new(started: Option<Started>) -> anyhow::Result<Self> {
        let Some(started) = started else {
            return Ok(Self(None));
        };
        let signal =
            signal(SignalKind::user_defined2()).context("signals can't be listened for")?;
        Ok(Self(Some((signal, started))))
    }

    /// Starts a successor at each signal. Cancel-safe between two.
    pub(super) async fn next(&mut self) {
        let Some((signal, started)) = &mut self.0 else {
            return std::future::pending().await;
        };
        if signal.recv().await.is_none() {
            return std::future::pending().await;
        }
        tracing::info!(program = %started.program.display(), "starts its successor");
        let started = started.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = started.start() {
                tracing::error!(%error, "the successor could not be started; this process goes on");
            }
        });
    }
}
