//! What is done at SIGHUP.

use std::{fmt, sync::Arc};

use anyhow::Context;

use couplet_connector::layers::Replaceable;

use crate::mistake::Mistake;

/// Something that is done at each SIGHUP, such as to read a file again. It says itself when it is
/// done; when it fails, everything is as it was.
#[derive(Clone)]
pub(crate) struct OnReload(Arc<dyn Fn() -> anyhow::Result<()> + Send + Sync>);

// ===== impl OnReload =====

impl OnReload {
    pub(crate) fn new(does: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(does))
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
}

impl fmt::Debug for OnReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReload")
    }
}

/// Does all of it, from now on. Where there is nothing to do, SIGHUP ends the process, as it
/// always does.
#[cfg(unix)]
pub(crate) fn listen(all: Vec<OnReload>) -> anyhow::Result<()> {
    use tokio::{
        signal::unix::{SignalKind, signal},
        task::spawn_blocking,
    };

    if all.is_empty() {
        return Ok(());
    }
    let mut hangups = signal(SignalKind::hangup()).context("signals can't be listened for")?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let all = all.clone();
            // Files may take their time.
            let doing = spawn_blocking(move || {
                for OnReload(does) in &all {
                    if let Err(error) = does() {
                        tracing::warn!("{error:#}");
                    }
                }
            });
            if let Err(error) = doing.await {
                tracing::error!(%error, "SIGHUP came to nothing");
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn listen(_: Vec<OnReload>) -> anyhow::Result<()> {
    Ok(())
}
