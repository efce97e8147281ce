use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, find};
use crate::{built::Built, columns::Column};

pub(super) const NAME: &str = "couplet";
pub(super) const ONE_THREAD: &str = "couplet-one-thread";

/// The command `couplet`, with its defaults and an idle timeout.
#[derive(Debug)]
pub(super) struct Couplet {
    program: PathBuf,
    version: String,
    threads: Threads,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Threads {
    /// As many as there are cores: what it does by itself.
    Auto,
    /// One, as HAProxy and nginx have here.
    One,
}

// ===== impl Couplet =====

impl Couplet {
    pub(super) fn new(built: &Built, threads: Threads) -> anyhow::Result<Self> {
        let program = built.couplet.clone();
        let said = find::said(Command::new(&program).arg("--version"));
        Ok(Self {
            version: find::word_after(&said, "couplet ").to_owned(),
            program,
            threads,
        })
    }
}

impl Relay for Couplet {
    fn name(&self) -> &'static str {
        match self.threads {
            Threads::Auto => NAME,
            Threads::One => ONE_THREAD,
        }
    }

    fn title(&self) -> &'static str {
        match self.threads {
            Threads::Auto => "Couplet",
            Threads::One => "Couplet, 1 thread",
        }
    }

    fn about(&self) -> String {
        if let Threads::One = self.threads {
            return "the same with `--threads=1`".into();
        }
        format!(
            "{}, the command: `couplet listen:… dial:… --idle-timeout=1h -q`, for pairing \
             `couplet listen:… listen:… --idle-timeout=1h -q`. Statistics, keep-alive and the \
             half-close timeout are on, as by default",
            self.version
        )
    }

    fn command(&self, listen: SocketAddr, to: To, _: &Path) -> anyhow::Result<Command> {
        let b = match to {
            To::Backend(addr) => format!("dial:{addr}"),
            To::Listen(addr) => format!("listen:{addr}"),
        };
        let mut command = Command::new(&self.program);
        command
            .arg(format!("listen:{listen}"))
            .args([&b, "--idle-timeout=1h", "-q"]);
        if let Threads::One = self.threads {
            command.arg("--threads=1");
        }
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }

    fn leaves_out(&self, _: &Column) -> Option<&'static str> {
        None
    }
}
