use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Relay, To, find, identity};
use crate::{built::Built, columns::Column};

pub(super) const NAME: &str = "couplet";
pub(super) const ONE_THREAD: &str = "couplet-one-thread";
pub(super) const TLS: &str = "couplet-tls";
pub(super) const TLS_ONE_THREAD: &str = "couplet-tls-one-thread";
pub(super) const LAYERS: &str = "couplet-ten-layers";
/// What ten layers are compared with: not one of ours there.
pub(super) const NO_LAYERS: &str = "no-layers";

/// Ten layers that let everything pass: five on the side of the clients, five on the pairs.
const ON_SIDE: &str = "allow=127.0.0.0/8,deny=192.0.2.0/24,max-per-addr=100000,max-conns=100000,\
                       rate=1000000/s";
const ON_PAIR: [&str; 4] = [
    "--max-lifetime=1d",
    "--quota=1TiB",
    "--bandwidth=100GiB/s",
    "--bandwidth-total=100GiB/s",
];

/// The command `couplet`, with its defaults and an idle timeout.
#[derive(Debug)]
pub(super) struct Couplet {
    program: PathBuf,
    version: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// As it is by itself.
    Default,
    /// With one thread, as HAProxy and nginx have here.
    OneThread,
    /// Its clients speak TLS.
    Tls,
    TlsOneThread,
    TenLayers,
    NoLayers,
}

// ===== impl Couplet =====

impl Couplet {
    pub(super) fn new(built: &Built, kind: Kind) -> anyhow::Result<Self> {
        let program = built.couplet.clone();
        let said = find::said(Command::new(&program).arg("--version"));
        Ok(Self {
            version: find::word_after(&said, "couplet ").to_owned(),
            program,
            kind,
        })
    }
}

impl Relay for Couplet {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Default => NAME,
            Kind::OneThread => ONE_THREAD,
            Kind::Tls => TLS,
            Kind::TlsOneThread => TLS_ONE_THREAD,
            Kind::TenLayers => LAYERS,
            Kind::NoLayers => NO_LAYERS,
        }
    }

    fn title(&self) -> &'static str {
        match self.kind {
            Kind::Default | Kind::Tls => "Couplet",
            Kind::OneThread | Kind::TlsOneThread => "Couplet, 1 thread",
            Kind::TenLayers => "Couplet, ten layers",
            Kind::NoLayers => "Couplet, without",
        }
    }

    fn about(&self) -> String {
        match self.kind {
            Kind::OneThread | Kind::TlsOneThread => return "the same with `--threads=1`".into(),
            Kind::TenLayers => {
                let on_pair = ON_PAIR.join(" ");
                return format!(
                    "the command of *Couplet, without*, with `{ON_SIDE}` on side A and `{on_pair}`"
                );
            }
            Kind::Default | Kind::Tls | Kind::NoLayers => {}
        }
        let tls = match self.kind {
            Kind::Tls => ",tls=…",
            _ => "",
        };
        format!(
            "{}, the command: `couplet listen:…{tls} dial:… --idle-timeout=1h -q`, for pairing \
             `couplet listen:… listen:… --idle-timeout=1h -q`. Statistics, keep-alive and the \
             half-close timeout are on, as by default",
            self.version
        )
    }

    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command> {
        let mut a = format!("listen:{listen}");
        let b = match to {
            To::Backend(addr) => format!("dial:{addr}"),
            To::Listen(addr) => format!("listen:{addr}"),
        };
        let mut command = Command::new(&self.program);
        command.args(["--idle-timeout=1h", "-q"]);
        match self.kind {
            Kind::Default | Kind::NoLayers => {}
            Kind::OneThread => _ = command.arg("--threads=1"),
            Kind::Tls | Kind::TlsOneThread => {
                a = format!("{a},tls={}", identity::file(folder).display());
                if let Kind::TlsOneThread = self.kind {
                    command.arg("--threads=1");
                }
            }
            Kind::TenLayers => {
                a = format!("{a},{ON_SIDE}");
                command.args(ON_PAIR);
            }
        }
        command.args([a, b]);
        Ok(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.program.clone()]
    }

    fn leaves_out(&self, _: &Column) -> Option<&'static str> {
        None
    }
}
