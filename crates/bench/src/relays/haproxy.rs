use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend, find};

pub(super) const SPLICE: &str = "haproxy-splice";
pub(super) const COPY: &str = "haproxy-copy";
pub(super) const TWO_THREADS: &str = "haproxy-two-threads";

/// More pairs than any column has; two descriptors each.
const MAX_PAIRS: u32 = 8000;

/// More pipes than any column can use: one for each direction that is bulk.
const MAX_PIPES: u32 = 256;

/// HAProxy in TCP mode. It always sets `TCP_NODELAY`.
#[derive(Debug)]
pub(super) struct Haproxy {
    program: PathBuf,
    version: String,
    splice: Splice,
    threads: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Splice {
    /// With `splice-auto` it would decide for itself, which here means that it does not: it looks
    /// at a stream again only when something but bytes happens to it.
    Always,
    Never,
}

// ===== impl Haproxy =====

impl Haproxy {
    pub(super) fn find(splice: Splice, threads: u32) -> anyhow::Result<Self> {
        let program = find::program("haproxy")?;
        let said = find::said(Command::new(&program).arg("-v"));
        Ok(Self {
            version: find::word_after(&said, "version ").to_owned(),
            program,
            splice,
            threads,
        })
    }
}

impl Relay for Haproxy {
    fn name(&self) -> &'static str {
        match (self.splice, self.threads) {
            (Splice::Always, 1) => SPLICE,
            (Splice::Always, _) => TWO_THREADS,
            (Splice::Never, _) => COPY,
        }
    }

    fn title(&self) -> &'static str {
        match (self.splice, self.threads) {
            (Splice::Always, 1) => "HAProxy, splice",
            (Splice::Always, _) => "HAProxy, splice, 2 threads",
            (Splice::Never, _) => "HAProxy, no splice",
        }
    }

    fn about(&self) -> String {
        let splice = match self.splice {
            Splice::Always => "`option splice-request` and `splice-response`",
            Splice::Never => "without splicing",
        };
        format!(
            "{}, `mode tcp`, `nbthread {}`, {splice}",
            self.version, self.threads
        )
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let file = folder.join("haproxy.cfg");
        fs::write(
            &file,
            config(listen, backend(to)?, self.splice, self.threads),
        )?;
        let mut command = Command::new(&self.program);
        command.args(["-db", "-q", "-f"]).arg(file);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }
}

fn config(listen: SocketAddr, backend: SocketAddr, splice: Splice, threads: u32) -> String {
    let splice = match splice {
        Splice::Always => "option splice-request\n    option splice-response",
        Splice::Never => "",
    };
    // It reserves descriptors for its pipes at the start, for a quarter of its connections unless
    // it is told otherwise.
    format!(
        "global
    maxconn {MAX_PAIRS}
    maxpipes {MAX_PIPES}
    nbthread {threads}
defaults
    mode tcp
    maxconn {MAX_PAIRS}
    backlog 4096
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    option tcpka
    {splice}
listen relay
    bind {listen}
    server backend {backend}
"
    )
}
