//! The relays, a file each: where they are, how they are told what to do, and what they can't.

mod by_hand;
mod couplet;
mod find;
mod haproxy;
pub(crate) mod identity;
mod nginx;
mod port;
mod running;
mod socat;
mod stunnel;
mod tunnel;

use std::{
    fmt::Debug,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use self::{couplet::Couplet, haproxy::Haproxy};
pub(crate) use self::{port::free_port, running::Running};
use crate::{built::Built, columns::Column};

/// A relay that can be started.
pub(crate) trait Relay: Debug {
    /// How it is called on the command line.
    fn name(&self) -> &'static str;

    /// Is it Couplet?
    fn is_ours(&self) -> bool {
        self.name().starts_with(couplet::NAME)
    }

    /// What it is called in the report.
    fn title(&self) -> &'static str;

    /// Which version it is, and how it is set up, for the report.
    fn about(&self) -> String;

    /// What it is started with. It may leave files in the folder.
    fn command(&self, listen: SocketAddr, to: To, folder: &Path) -> anyhow::Result<Command>;

    /// The files it consists of.
    fn files(&self) -> Vec<PathBuf>;

    /// Why it is not measured in a column, if so.
    fn leaves_out(&self, column: &Column) -> Option<&'static str> {
        column
            .is_pairing()
            .then_some("it can't join two clients that both connect")
    }
}

/// The other side of a relay.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// It connects to a backend for each client.
    Backend(SocketAddr),
    /// It listens there, too.
    Listen(SocketAddr),
}

/// A relay that is not there, and why.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

/// Those of the table of all kinds of work.
pub(crate) const PLAIN: [&str; 9] = [
    couplet::NAME,
    couplet::ONE_THREAD,
    haproxy::SPLICE,
    haproxy::COPY,
    haproxy::TWO_THREADS,
    nginx::NAME,
    nginx::TWO_WORKERS,
    socat::NAME,
    by_hand::NAME,
];

/// Those whose clients speak TLS.
pub(crate) const TLS: [&str; 5] = [
    couplet::TLS,
    couplet::TLS_ONE_THREAD,
    haproxy::TLS,
    nginx::TLS,
    stunnel::NAME,
];

/// Those that hold many pairs.
pub(crate) const GROWTH: [&str; 5] = [
    couplet::NAME,
    couplet::ONE_THREAD,
    haproxy::SPLICE,
    haproxy::COPY,
    nginx::NAME,
];

/// Couplet with layers and without.
pub(crate) const LAYERS: [&str; 2] = [couplet::LAYERS, couplet::NO_LAYERS];

/// Two Couplets, with one carrier between them and with a connection for each client.
pub(crate) const MUX: [&str; 2] = [tunnel::MUX, tunnel::EACH];

/// A relay by its name.
pub(crate) fn find(name: &'static str, built: &Built) -> Result<Box<dyn Relay>, Missing> {
    let found: anyhow::Result<Box<dyn Relay>> = match name {
        couplet::NAME => Couplet::new(built, couplet::Kind::Default).map(boxed),
        couplet::ONE_THREAD => Couplet::new(built, couplet::Kind::OneThread).map(boxed),
        couplet::TLS => Couplet::new(built, couplet::Kind::Tls).map(boxed),
        couplet::TLS_ONE_THREAD => Couplet::new(built, couplet::Kind::TlsOneThread).map(boxed),
        couplet::LAYERS => Couplet::new(built, couplet::Kind::TenLayers).map(boxed),
        couplet::NO_LAYERS => Couplet::new(built, couplet::Kind::NoLayers).map(boxed),
        haproxy::SPLICE => Haproxy::find(haproxy::How::Splice, 1).map(boxed),
        haproxy::COPY => Haproxy::find(haproxy::How::Copy, 1).map(boxed),
        haproxy::TWO_THREADS => Haproxy::find(haproxy::How::Splice, 2).map(boxed),
        haproxy::TLS => Haproxy::find(haproxy::How::Tls, 1).map(boxed),
        nginx::NAME => nginx::Nginx::find(1, false).map(boxed),
        nginx::TWO_WORKERS => nginx::Nginx::find(2, false).map(boxed),
        nginx::TLS => nginx::Nginx::find(1, true).map(boxed),
        stunnel::NAME => stunnel::Stunnel::find().map(boxed),
        tunnel::MUX => tunnel::Tunnel::new(built, true).map(boxed),
        tunnel::EACH => tunnel::Tunnel::new(built, false).map(boxed),
        socat::NAME => socat::Socat::find().map(boxed),
        _ => Ok(boxed(by_hand::ByHand::new(built))),
    };
    found.map_err(|error| Missing {
        name,
        why: format!("{error:#}"),
    })
}

fn boxed<R: Relay + 'static>(relay: R) -> Box<dyn Relay> {
    Box::new(relay)
}

/// The backend of a relay that can do no other.
fn backend(to: To) -> anyhow::Result<SocketAddr> {
    match to {
        To::Backend(addr) => Ok(addr),
        To::Listen(_) => anyhow::bail!("it can't join two clients that both connect"),
    }
}
