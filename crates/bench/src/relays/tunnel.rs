use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend, find, free_port, identity};
use crate::{built::Built, load::NAME};

pub(super) const MUX: &str = "couplet-mux";
/// What it is compared with: a connection of TLS for each client.
pub(super) const EACH: &str = "each-by-tls";

/// Two Couplets with TLS between them, as one relay.
#[derive(Debug)]
pub(super) struct Tunnel {
    program: PathBuf,
    version: String,
    is_mux: bool,
}

// ===== impl Tunnel =====

impl Tunnel {
    pub(super) fn new(built: &Built, is_mux: bool) -> anyhow::Result<Self> {
        let program = built.couplet.clone();
        let said = find::said(Command::new(&program).arg("--version"));
        Ok(Self {
            version: find::word_after(&said, "couplet ").to_owned(),
            program,
            is_mux,
        })
    }

    fn mux(&self) -> &'static str {
        match self.is_mux {
            true => ",mux,mux.streams=4096",
            false => "",
        }
    }
}

impl Relay for Tunnel {
    fn name(&self) -> &'static str {
        match self.is_mux {
            true => MUX,
            false => EACH,
        }
    }

    fn title(&self) -> &'static str {
        match self.is_mux {
            true => "Couplet, one carrier",
            false => "a connection each",
        }
    }

    fn about(&self) -> String {
        let mux = self.mux();
        format!(
            "{}, two commands, whose costs are added: `couplet listen:… dial:…,tls{mux}`, which dials `couplet \
             listen:…,tls=…{mux} dial:…`",
            self.version
        )
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let between = SocketAddr::new(listen.ip(), free_port()?.port());
        let pem = identity::file(folder);
        let (pem, mux, program) = (pem.display(), self.mux(), self.program.display());
        let backend = backend(to)?;
        let far = format!("{program} -q listen:{between},tls={pem}{mux} dial:{backend}");
        let near =
            format!("{program} -q listen:{listen} dial:{between},tls={NAME},tls.ca={pem}{mux}");
        // Clients that the near one takes before the far one listens are reset.
        let waits = format!(
            "until true 3<>/dev/tcp/{}/{}; do sleep 0.01; done 2>/dev/null",
            between.ip(),
            between.port()
        );
        let mut command = Command::new("bash");
        // One group, which is measured and ended as a whole.
        command.args(["-c", &format!("{far} & {waits}; exec {near}")]);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }
}
