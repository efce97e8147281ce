//! The new process: takes the sockets of the one that runs.

use std::{io, os::unix::net::UnixStream, path::Path};

use anyhow::{Context, bail};
use tokio::task::spawn_blocking;

use super::{Items, LEFT, RUNNING, STEP, message};

/// The sockets of the process that runs, which goes on until this one says that it runs.
#[derive(Debug)]
pub(crate) struct Taken {
    stream: UnixStream,
    pub(crate) items: Items,
}

// ===== impl Taken =====

impl Taken {
    /// Takes them where they are offered at this path; `None` where no process listens.
    pub(crate) async fn take(path: &Path) -> anyhow::Result<Option<Self>> {
        use io::ErrorKind::{ConnectionRefused, NotFound};

        let io = match tokio::net::UnixStream::connect(path).await {
            Ok(io) => io,
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Ok(None),
            Err(error) => {
                let context = format!("{} can't be connected to", path.display());
                return Err(error).context(context);
            }
        };
        let peer = io.peer_cred()?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            bail!(
                "{} is another user's: only a process of the same user is taken over",
                path.display()
            );
        }
        let stream = io.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(STEP))?;
        stream.set_write_timeout(Some(STEP))?;
        let taking = spawn_blocking(move || {
            let (about, sockets) = message::receive(&stream)?;
            let items = Items::read(&about, sockets)?;
            io::Result::Ok(Self { stream, items })
        });
        let taken = taking.await?;
        let taken = taken.context("the process that runs has not given its sockets")?;
        tracing::info!(
            pid = peer.pid(),
            count = taken.items.len(),
            "takes over from the process that runs"
        );
        Ok(Some(taken))
    }

    /// Says that this process runs, and waits until the one before accepts nothing more.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        let telling = spawn_blocking(move || {
            message::send(&self.stream, RUNNING, &[])?;
            message::receive(&self.stream)
        });
        let told = telling.await?;
        match told {
            Ok((word, _)) if word == LEFT => Ok(()),
            Ok(_) => bail!("the process that ran has said something else than that it left"),
            Err(error) => Err(error).context("the process that ran has not said that it left"),
        }
    }
}
