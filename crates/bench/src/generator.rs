//! The driver's side of the load generator: see `load/control.rs` for what they say.

use std::{env, net::SocketAddr, process::Stdio};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    load::{Outcome, Setting, Work},
    place::Place,
};

/// The load generator, in its own process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Generator {
    #[expect(dead_code, reason = "it is killed when this is dropped")]
    process: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

// ===== impl Generator =====

impl Generator {
    /// Starts it where the clients are.
    pub(crate) fn start(place: &Place, setting: &Setting, work: Work) -> anyhow::Result<Self> {
        let mut command = std::process::Command::new(env::current_exe()?);
        command.arg("load").args(setting.args()).args(work.args());
        let mut process = Command::from(place.at_client(&command))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the load generator could not be started")?;
        let to = process.stdin.take().context("it has an input")?;
        let from = process.stdout.take().context("it has an output")?;
        Ok(Self {
            process,
            to,
            from: BufReader::new(from).lines(),
        })
    }

    /// Where its backend listens.
    pub(crate) async fn backend(&mut self) -> anyhow::Result<SocketAddr> {
        let addr = self.hear("backend").await?;
        addr.parse().with_context(|| format!("`{addr}`"))
    }

    /// Lets it warm the relay up, which listens there.
    pub(crate) async fn warm(&mut self, targets: &[SocketAddr]) -> anyhow::Result<()> {
        let targets: Vec<_> = targets.iter().map(SocketAddr::to_string).collect();
        self.say(&format!("target {}", targets.join(" "))).await?;
        self.hear("warm").await.map(drop)
    }

    /// Lets it do its work. What it has open then stays so until it is dropped.
    pub(crate) async fn go(&mut self) -> anyhow::Result<Outcome> {
        self.say("go").await?;
        self.hear("done").await?.parse()
    }

    async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.to
            .write_all(format!("{line}\n").as_bytes())
            .await
            .context("the load generator is gone")
    }

    async fn hear(&mut self, word: &str) -> anyhow::Result<String> {
        let line = self.from.next_line().await?;
        let line = line.context("the load generator is gone")?;
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => bail!("the load generator said `{line}` instead of `{word}`"),
        }
    }
}
