use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, backend, find, identity};

pub(super) const SPLICE: &str = "haproxy-splice";
pub(super) const COPY: &str = "haproxy-copy";
pub(super) const TWO_THREADS: &str = "haproxy-two-threads";
pub(super) const TLS: &str = "haproxy-tls";

/// More pairs than any column has; two descriptors each.
const MAX_PAIRS: u32 = 9500;

/// More pipes than any column can use: one for each direction that is bulk.
const MAX_PIPES: u32 = 256;

/// HAProxy in TCP mode. It always sets `TCP_NODELAY`.
#[derive(Debug)]
pub(super) struct Haproxy {
    program: PathBuf,
    version: String,
    how: How,
    threads: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// With splice. With `splice-auto` it would decide for itself, which here means that it does not: it
    /// looks at a stream again only when something but bytes happens to it.
    Splice,
    Copy,
    /// Its clients speak TLS.
    Tls,
}

// ===== impl Haproxy =====

impl Haproxy {
    pub(super) fn find(how: How, threads: u32) -> anyhow::Result<Self> {
        let program = find::program("haproxy")?;
        let said = find::said(Command::new(&program).arg("-v"));
        Ok(Self {
            version: find::word_after(&said, "version ").to_owned(),
            program,
            how,
            threads,
        })
    }
}

impl Relay for Haproxy {
    fn name(&self) -> &'static str {
        match (self.how, self.threads) {
            (How::Splice, 1) => SPLICE,
            (How::Splice, _) => TWO_THREADS,
            (How::Copy, _) => COPY,
            (How::Tls, _) => TLS,
        }
    }

    fn title(&self) -> &'static str {
        match (self.how, self.threads) {
            (How::Splice, 1) => "HAProxy, splice",
            (How::Splice, _) => "HAProxy, splice, 2 threads",
            (How::Copy, _) => "HAProxy, no splice",
            (How::Tls, _) => "HAProxy",
        }
    }

    fn about(&self) -> String {
        let how = match self.how {
            How::Splice => "`option splice-request` and `splice-response`",
            How::Copy => "without splicing",
            How::Tls => "`bind … ssl crt …`",
        };
        format!(
            "{}, `mode tcp`, `nbthread {}`, {how}",
            self.version, self.threads
        )
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let file = folder.join("haproxy.cfg");
        let listen = match self.how {
            How::Tls => format!("{listen} ssl crt {}", identity::file(folder).display()),
            _ => listen.to_string(),
        };
        let config = config(&listen, backend(to)?, self.how, self.threads);
        fs::write(&file, config)?;
        let mut command = Command::new(&self.program);
        command.args(["-db", "-q", "-f"]).arg(file);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }
}

fn config(listen: &str, backend: SocketAddr, how: How, threads: u32) -> String {
    let splice = match how {
        How::Splice => "option splice-request\n    option splice-response",
        How::Copy | How::Tls => "",
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
