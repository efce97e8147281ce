use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::{Relay, To, free_port};
use crate::{
    measure::{Group, Usage},
    place::Place,
};

/// A relay that does not listen after this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay at work; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    group: Group,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// How long it took until it accepted.
    pub(crate) started_in: Duration,
}

// ===== impl Running =====

impl Running {
    /// Starts it and waits until it accepts wherever it listens.
    pub(crate) fn start(
        relay: &dyn Relay,
        place: &Place,
        to: To,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let listen = SocketAddr::new(place.relay, free_port()?.port());
        let mut ports = vec![listen];
        if let To::Listen(other) = to {
            ports.push(other);
        }
        Self::listening(relay.command(listen, to, folder)?, &ports, folder)
    }

    /// Starts what listens on these ports, and waits until they
    /// accept.
    pub(crate) fn listening(
        mut command: Command,
        ports: &[SocketAddr],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let listen = *ports.first().context("it listens somewhere")?;
        let log = folder.join("log");
        let file = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let begin = Instant::now();
        let mut group = Group::start(&mut command)?;
        let accepts = |port: &SocketAddr| TcpStream::connect(port).is_ok();
        while !ports.iter().all(accepts) {
            if let Some(status) = group.ended()? {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("it ended with {status}: {}", said.trim());
            }
            if begin.elapsed() > PATIENCE {
                bail!("it does not listen");
            }
            thread::sleep(Duration::from_micros(50));
        }
        Ok(Self {
            group,
            listen,
            started_in: begin.elapsed(),
        })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let status = self.group.finish()?;
        anyhow::ensure!(status.success(), "the relay ended with {status}");
        Ok(())
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.group.usage().context("the relay")
    }
}
