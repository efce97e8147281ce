//! The process that runs: offers its sockets to the next one.

use std::{future::pending, io, os::unix::net::UnixStream, path::Path};

use anyhow::Context;
use couplet_connector::endpoint::{UnixAddr, UnixListen};
use futures::TryStreamExt;
use tokio::task::spawn_blocking;

use super::{Items, LEFT, RUNNING, Role, START, STEP, message};
use crate::incoming::Kept;

/// Where the next process connects; without `--take-over` none ever does.
#[derive(Debug)]
pub(crate) struct Offer(Option<UnixListen>);

/// A process that takes over.
#[derive(Debug)]
pub(crate) struct Taker {
    stream: UnixStream,
    pub(crate) pid: Option<u32>,
}

// ===== impl Offer =====

impl Offer {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Listens, for this user alone: on the socket of the process before, where it had one.
    pub(crate) async fn open(path: &Path, before: Option<Kept>) -> anyhow::Result<Self> {
        let options = UnixListen::options().mode(0o600);
        let listen = match before {
            Some(Kept::Unix(socket)) => options.adopt(socket)?,
            _ => {
                let addr = UnixAddr::path(path).with_context(|| "--take-over".to_owned())?;
                options.bind(addr).await?
            }
        };
        Ok(Self(Some(listen)))
    }

    /// The next process of the same user. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Taker {
        let Some(listen) = &mut self.0 else {
            return pending().await;
        };
        loop {
            let conn = match listen.try_next().await {
                Ok(Some(conn)) => conn,
                Ok(None) => return pending().await,
                Err(error) => {
                    tracing::warn!(%error, "no process can take over any more");
                    return pending().await;
                }
            };
            let peer = conn.info.unix();
            let (uid, pid) = (peer.map(|peer| peer.uid), peer.and_then(|peer| peer.pid));
            let own = rustix::process::geteuid().as_raw();
            if uid != Some(own) {
                tracing::warn!(uid, pid, "a process of another user may not take over");
                continue;
            }
            match blocking(conn.io) {
                Ok(stream) => return Taker { stream, pid },
                Err(error) => tracing::warn!(%error, "a process that would take over has gone"),
            }
        }
    }

    /// The socket itself, for the next process.
    pub(crate) fn add_to(&self, items: &mut Items) -> io::Result<()> {
        if let Some(listen) = &self.0 {
            items.add(Role::TakeOver, Kept::Unix(listen.socket()?));
        }
        Ok(())
    }

    /// The path is another process's, or this one's.
    pub(crate) fn leave_path(&self, is_left: bool) {
        if let Some(Ok(socket)) = self.0.as_ref().map(UnixListen::socket) {
            socket.leave_path(is_left);
        }
    }
}

fn blocking(io: tokio::net::UnixStream) -> io::Result<UnixStream> {
    let stream = io.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(STEP))?;
    stream.set_read_timeout(Some(START))?;
    Ok(stream)
}

// ===== impl Taker =====

impl Taker {
    /// Gives it the sockets, and waits until it runs.
    pub(crate) async fn give(self, items: Items) -> io::Result<Self> {
        let giving = spawn_blocking(move || {
            let (about, sockets) = items.message();
            message::send(&self.stream, &about, &sockets)?;
            match message::receive(&self.stream)?.0.as_str() {
                RUNNING => Ok(self),
                other => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("it says `{}`", other.escape_debug()),
                )),
            }
        });
        giving.await?
    }

    /// Tells it that this process accepts nothing more.
    pub(crate) async fn left(self) {
        let told = spawn_blocking(move || message::send(&self.stream, LEFT, &[])).await;
        if let Ok(Err(error)) = told {
            // It runs whether it knows or not.
            tracing::debug!(%error, "the new process can't be told");
        }
    }
}
