//! How the generator is led. It speaks on standard output and listens on standard input:
//!
//! | generator | driver |
//! |---|---|
//! | `backend ADDR` | |
//! | | `target ADDR…`, once the relay is there |
//! | `warm` | |
//! | | `go`, once the counters were read |
//! | `done KEY=VALUE…` | |
//! | | closes standard input, and everything is let go |

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
    process, thread,
};

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use super::{client::Clients, outcome::Outcome, setting::Setting};

pub(super) struct Control {
    pub(super) setting: Setting,
    heard: mpsc::UnboundedReceiver<String>,
}

// ===== impl Control =====

impl Control {
    pub(super) fn new(setting: Setting) -> Self {
        let (lines, heard) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
            // The driver is content, or gone: either way this process has no more to do.
            process::exit(0);
        });
        Self { setting, heard }
    }

    /// Says where the backend listens, and hears where the relay does.
    pub(super) async fn targets(&mut self, backend: SocketAddr) -> anyhow::Result<Vec<SocketAddr>> {
        say(&format!("backend {backend}"))?;
        let line = self.hear("target").await?;
        line.split_whitespace()
            .map(|addr| addr.parse().with_context(|| format!("`{addr}`")))
            .collect()
    }

    /// Clients of the relay of all the work but pairing.
    pub(super) async fn clients(&mut self, backend: SocketAddr) -> anyhow::Result<Clients> {
        match self.targets(backend).await?[..] {
            [target] => Clients::new(target, &self.setting),
            _ => bail!("there is to be one target"),
        }
    }

    /// Says that all is warm, and waits until the work may begin.
    pub(super) async fn warm(&mut self) -> anyhow::Result<()> {
        say("warm")?;
        self.hear("go").await.map(drop)
    }

    /// Says how it went, and holds what is open until the driver has looked at it.
    pub(super) async fn done(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        say(&format!("done {outcome}"))?;
        self.heard.recv().await;
        Ok(())
    }

    async fn hear(&mut self, word: &str) -> anyhow::Result<String> {
        let line = self.heard.recv().await.context("the driver is gone")?;
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => bail!("`{word}` was expected, not `{line}`"),
        }
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
