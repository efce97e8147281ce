use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend, find, identity};

pub(super) const NAME: &str = "stunnel";

/// stunnel, which has a thread for each connection.
#[derive(Debug)]
pub(super) struct Stunnel {
    program: PathBuf,
    version: String,
}

// ===== impl Stunnel =====

impl Stunnel {
    pub(super) fn find() -> anyhow::Result<Self> {
        let program = find::program("stunnel4").or_else(|_| find::program("stunnel"))?;
        let said = find::said(Command::new(&program).arg("-version"));
        Ok(Self {
            version: find::word_after(&said, "stunnel ").to_owned(),
            program,
        })
    }
}

impl Relay for Stunnel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "stunnel"
    }

    fn about(&self) -> String {
        format!("{}, `TCP_NODELAY` on both sides", self.version)
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let file = folder.join("stunnel.conf");
        let config = format!(
            "foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[relay]
accept = {listen}
connect = {}
cert = {}
",
            backend(to)?,
            identity::file(folder).display()
        );
        fs::write(&file, config)?;
        let mut command = Command::new(&self.program);
        command.arg(file);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }
}
