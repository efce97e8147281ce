use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend, find};
use crate::columns::Column;

pub(super) const NAME: &str = "socat";

/// socat, which forks a process for each connection.
#[derive(Debug)]
pub(super) struct Socat {
    program: PathBuf,
    version: String,
}

// ===== impl Socat =====

impl Socat {
    pub(super) fn find() -> anyhow::Result<Self> {
        let program = find::program("socat")?;
        let said = find::said(Command::new(&program).arg("-V"));
        Ok(Self {
            version: find::word_after(&said, "socat version ").to_owned(),
            program,
        })
    }
}

impl Relay for Socat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "socat"
    }

    fn about(&self) -> String {
        format!(
            "{}, `fork`, `nodelay`. Left out where there are many connections, since \
             socat forks a process for each",
            self.version
        )
    }

    fn command(&self, listen: SocketAddr, to: To, _: &Path) -> anyhow::Result<Command> {
        let backend = backend(to)?;
        let (host, port) = (listen.ip(), listen.port());
        let mut command = Command::new(&self.program);
        command
            .arg(format!(
                "TCP-LISTEN:{port},bind={host},fork,reuseaddr,backlog=4096,nodelay,keepalive"
            ))
            .arg(format!("TCP:{backend},nodelay,keepalive"));
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }

    fn leaves_out(&self, column: &Column) -> Option<&'static str> {
        (column.parallel() > 1).then_some("it forks a process for each connection")
    }
}
