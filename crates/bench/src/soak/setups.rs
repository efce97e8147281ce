//! The relays that are soaked: every mode, and many layers.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use rcgen::generate_simple_self_signed;
use tokio::{net::TcpListener, time::Instant};

use super::exchange::Way;
use crate::{measure::Group, relays::free_port};

/// One or more relays in a row, and the ends on both sides of them.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) name: &'static str,
    pub(super) relays: Vec<Relay>,
    pub(super) ends: Ends,
    /// One connection is open at a time.
    one_by_one: bool,
}

/// A relay at work.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) group: Group,
    /// What it prints.
    pub(super) log: PathBuf,
}

/// How clients and servers come to the relays.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) client: Way,
    pub(super) server: Way,
}

/// Starts the relays of a setup.
struct Starter<'a> {
    couplet: &'a Path,
    folder: &'a Path,
    relays: Vec<Relay>,
}

// ===== impl Setup =====

impl Setup {
    pub(super) fn workers(&self, parallel: usize) -> usize {
        if self.one_by_one { 1 } else { parallel }
    }

    /// Connections come to where it listens. They say nothing, and end.
    async fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        let ends = [&self.ends.client, &self.ends.server];
        for way in ends {
            let Way::Connect(addr) = way else {
                continue;
            };
            while tokio::net::TcpStream::connect(addr).await.is_err() {
                for relay in &mut self.relays {
                    if let Some(status) = relay.group.ended()? {
                        bail!("{}: {status}: {}", self.name, relay.said().trim());
                    }
                }
                anyhow::ensure!(
                    begin.elapsed() < PATIENCE,
                    "{}: no relay listens",
                    self.name
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }
}

/// Starts them all.
pub(super) async fn start(couplet: &Path, folder: &Path) -> anyhow::Result<Vec<Setup>> {
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = folder.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let secret = file("secret", "0123456789abcdef0123456789abcdef\n")?;
    let certificate = generate_simple_self_signed(["localhost".to_owned()])?;
    let cert = file("cert.pem", &certificate.cert.pem())?;
    let key = file("key.pem", &certificate.signing_key.serialize_pem())?;

    let mut setups = Vec::new();
    let start = || Starter {
        couplet,
        folder,
        relays: Vec::new(),
    };

    let (mut starter, port, server) = (start(), free_port()?, listen().await?);
    starter.couplet(&[&format!("listen:{port}"), &format!("dial:{}", server.1)])?;
    setups.push(starter.setup("listen and dial", Way::Connect(port), server.0));

    let (mut starter, [a, b]) = (start(), [free_port()?, free_port()?]);
    starter.couplet(&[&format!("listen:{a}"), &format!("listen:{b}")])?;
    setups.push(starter.setup("listen and listen", Way::Connect(a), Way::Connect(b)));

    let (mut starter, port, server) = (start(), free_port()?, listen().await?);
    starter.couplet(&[&format!("dial:{}", server.1), &format!("listen:{port}")])?;
    setups.push(starter.setup("dial and listen", Way::Connect(port), server.0));

    let (mut starter, client, server) = (start(), listen().await?, listen().await?);
    let (a, b) = (format!("dial:{}", client.1), format!("dial:{}", server.1));
    starter.couplet(&[&a, &b, "--reconnect"])?;
    let mut setup = starter.setup("dial and dial, again and again", client.0, server.0);
    setup.one_by_one = true;
    setups.push(setup);

    let (mut starter, port, server) = (start(), free_port()?, listen().await?);
    starter.couplet(&[
        &format!("listen:{port},max-per-addr=1000,rate-per-addr=100000/1s,sniff=1s"),
        &format!("dial:{}", server.1),
        "--bandwidth=1GiB/s",
        "--quota=1TiB",
        "--idle-timeout=1h",
        "--max-lifetime=1h",
        "--access-log=/dev/null",
    ])?;
    setups.push(starter.setup("limits and an access log", Way::Connect(port), server.0));

    let (proves, trusts) = (
        format!("tls={cert},tls.key={key}"),
        format!("tls=localhost,tls.ca={cert}"),
    );
    for (name, carrier, near, far) in [
        (
            "tunnel in TLS, with zstd",
            "",
            format!("{trusts},compress=zstd"),
            format!("{proves},compress=zstd"),
        ),
        (
            "tunnel in Noise, with lz4",
            "",
            format!("noise=psk:@{secret},compress=lz4"),
            format!("noise=psk:@{secret},compress=lz4"),
        ),
        (
            "tunnel with a token and a PROXY header",
            "",
            format!("token=@{secret},proxy-protocol=v2"),
            format!("token=@{secret},proxy-protocol=require,proxy-protocol.from=127.0.0.0/8"),
        ),
        (
            "tunnel of many streams in one TLS connection",
            "",
            format!("{trusts},mux=open"),
            format!("{proves},mux=accept"),
        ),
        (
            "tunnel in WebSocket",
            "",
            "ws=/".to_owned(),
            "ws=/".to_owned(),
        ),
        ("tunnel in QUIC", "quic:", trusts.clone(), proves.clone()),
    ] {
        let (mut starter, port, between) = (start(), free_port()?, free_port()?);
        let server = listen().await?;
        starter.couplet(&[
            &format!("listen:{carrier}{between},{far}"),
            &format!("dial:{}", server.1),
        ])?;
        starter.couplet(&[
            &format!("listen:{port}"),
            &format!("dial:{carrier}{between},{near}"),
        ])?;
        setups.push(starter.setup(name, Way::Connect(port), server.0));
    }

    let (mut starter, port, meeting) = (start(), free_port()?, free_port()?);
    let server = listen().await?;
    starter.couplet(&["rendezvous", &format!("listen:{meeting}")])?;
    let meet = format!("dial:{meeting},rendezvous=@{secret}");
    starter.couplet(&[&format!("{meet},keep=32"), &format!("dial:{}", server.1)])?;
    starter.couplet(&[&format!("listen:{port}"), &meet])?;
    setups.push(starter.setup(
        "rendezvous by key, with a pool",
        Way::Connect(port),
        server.0,
    ));

    let (mut starter, port, server) = (start(), free_port()?, listen().await?);
    starter.library(port, server.1)?;
    setups.push(starter.setup("the library, with its layers", Way::Connect(port), server.0));

    for setup in &mut setups {
        setup.wait_until_it_listens().await?;
    }
    Ok(setups)
}

async fn listen() -> anyhow::Result<(Way, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    Ok((Way::Accept(Arc::new(listener)), addr))
}

// ===== impl Starter =====

impl Starter<'_> {
    fn couplet(&mut self, args: &[&str]) -> anyhow::Result<()> {
        self.start(Command::new(self.couplet).args(args).arg("-q"))
    }

    fn library(&mut self, listen: SocketAddr, dial: SocketAddr) -> anyhow::Result<()> {
        let me = std::env::current_exe().context("where this program is")?;
        let (listen, dial) = (listen.to_string(), dial.to_string());
        self.start(Command::new(me).args(["soak-library", &listen, &dial]))
    }

    fn start(&mut self, command: &mut Command) -> anyhow::Result<()> {
        // Any number that is not there yet.
        let nth = fs::read_dir(self.folder)?.count();
        let log = self.folder.join(format!("log-{nth}"));
        let file = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let group = Group::start(command)?;
        self.relays.push(Relay { group, log });
        Ok(())
    }

    fn setup(self, name: &'static str, client: Way, server: Way) -> Setup {
        Setup {
            name,
            relays: self.relays,
            ends: Ends { client, server },
            one_by_one: false,
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

// ===== impl Relay =====

impl Relay {
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many tasks it has, where it says so.
    pub(super) fn tasks(&self) -> Option<u64> {
        let said = self.said();
        // The last line may be half there.
        let tasks = said
            .lines()
            .rev()
            .skip(1)
            .find_map(|line| line.strip_prefix("tasks "));
        tasks?.parse().ok()
    }
}
