//! What is done at SIGHUP.

use std::{
    fmt, fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context;

use couplet_connector::{endpoint::RelayName, layers::Replaceable};

use crate::{credential, mistake::Mistake};

/// Something that is done at each SIGHUP, such as to read a file again. It says itself when it is
/// done; when it fails, everything is as it was.
#[derive(Clone)]
pub(crate) struct OnReload {
    does: Arc<dyn Fn() -> anyhow::Result<()> + Send + Sync>,
    relay: RelayName,
}

// ===== impl OnReload =====

impl OnReload {
    pub(crate) fn new(does: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            does: Arc::new(does),
            relay: RelayName::NONE,
        }
    }

    /// For this relay, which is named in the log.
    pub(crate) fn of(self, relay: &RelayName) -> Self {
        Self {
            relay: relay.clone(),
            ..self
        }
    }

    /// Makes a part of a layer anew of what its files then say; `file` is the one that names it.
    pub(crate) fn replace<T: Send + Sync + 'static>(
        part: Replaceable<T>,
        file: &str,
        make: impl Fn() -> Result<T, Mistake> + Send + Sync + 'static,
    ) -> Self {
        let path = file.to_owned();
        Self::new(move || {
            part.replace(make().context("what was read before stays")?);
            tracing::info!(path, "read again");
            Ok(())
        })
    }

    /// The same of a file that is a list, an entry a line, and how many entries there were and are. A
    /// list that has become empty is a warning.
    pub(crate) fn replace_list<T: Send + Sync + 'static>(
        part: Replaceable<T>,
        file: &str,
        make: impl Fn() -> Result<T, Mistake> + Send + Sync + 'static,
    ) -> Self {
        let path = file.to_owned();
        let known = AtomicUsize::new(entries(&path));
        Self::new(move || {
            part.replace(make().context("what was read before stays")?);
            let entries = entries(&path);
            let before = known.swap(entries, Ordering::Relaxed);
            match (before, entries) {
                (1.., 0) => tracing::warn!(path, entries, before, "read again, and empty now"),
                _ => tracing::info!(path, entries, before, "read again"),
            }
            Ok(())
        })
    }
}

/// The lines of a file that are neither blank nor a comment.
fn entries(path: &str) -> usize {
    let path = credential::path(path).unwrap_or_default();
    let text = fs::read_to_string(&*path).unwrap_or_default();
    let content = |line: &&str| !line.split('#').next().unwrap_or_default().trim().is_empty();
    text.trim_start_matches('\u{feff}')
        .lines()
        .filter(content)
        .count()
}

impl fmt::Debug for OnReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReload")
    }
}

/// SIGHUP, caught: by default it would end the process.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Hangups(tokio::signal::unix::Signal);

#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Hangups;

// ===== impl Hangups =====

#[cfg(unix)]
impl Hangups {
    pub(crate) fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let hangups = signal(SignalKind::hangup()).context("signals can't be listened for")?;
        Ok(Self(hangups))
    }

    /// Waits for the next SIGHUP. Cancel-safe.
    pub(crate) async fn recv(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// Waits for the next SIGHUP, where it is to end the relay.
    pub(crate) async fn next(mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// Does all of it at each SIGHUP.
    pub(crate) fn listen(mut self, all: Vec<OnReload>) {
        tokio::spawn(async move {
            while self.0.recv().await.is_some() {
                if all.is_empty() {
                    tracing::info!("SIGHUP: no file to read again");
                    continue;
                }
                let all = all.clone();
                do_all(all).await;
            }
        });
    }
}

/// Does all of it.
pub(crate) async fn do_all(all: Vec<OnReload>) {
    // Files may take their time.
    let doing = tokio::task::spawn_blocking(move || {
        for OnReload { does, relay } in &all {
            relay.in_scope(|| {
                if let Err(error) = does() {
                    tracing::warn!("{error:#}");
                }
            });
        }
    });
    if let Err(error) = doing.await {
        tracing::error!(%error, "the task that reads the files again panicked");
    }
}

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn recv(&mut self) {
        std::future::pending().await
    }

    pub(crate) async fn next(self) {
        std::future::pending().await
    }

    pub(crate) fn listen(self, _: Vec<OnReload>) {}
}
