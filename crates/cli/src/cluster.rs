//! `couplet rendezvous --engine`: clients meet that came to different nodes.

mod engine;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, bail};
use couplet_connector::{
    BoxError, Conn, Dial, Handle, SideLayers,
    endpoint::{BoxIo, DialAddr, Endpoint as _, LocalAddr, RelayName, Side, SocketOptions},
    pairing::{Attachment, switchboard},
    serve,
};
use couplet_meeting::{
    Cluster, Node, Secret,
    engine::NodeAddr,
    redis::{CheckError, Checked, RedisEngine, RedisServer},
};
use couplet_protocols::meet::MeetingKey;
use futures::TryStreamExt;
use tower::{Layer, ServiceBuilder, service_fn};

use crate::{
    handshakes::Handshakes,
    incoming::{Incoming, Kept},
    layer_spec::{Setting, Source, Sourced},
    mistake::{Mistake, first},
    side::{DialledFor, Endpoint, EndpointFlags, SideSpec, SideWords, options::secret, through},
    units::{Limit, duration},
};

/// The part of the help for what no single relay needs.
pub(crate) const HEADING: &str = "Options with several machines";

/// How many requests to the match-maker are under way at a time.
const IN_FLIGHT: usize = 256;

/// How long dialling another node may take: a repetition of the first packet within.
const CONNECT: Duration = Duration::from_secs(3);

/// How long taking back the offers may take at the end.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    engine: engine::EngineArgs,

    /// Where other nodes connect to this one: listen:HOST:PORT, then ,option[=value]…
    #[arg(long, value_name = "SIDE", requires = "engine")]
    cluster: Option<String>,

    /// The secret that all nodes share
    #[arg(long, value_name = "@FILE", requires = "engine")]
    cluster_secret: Option<String>,

    /// Options of the connections to other nodes, such as tls: option[=value],…
    #[arg(long, value_name = "OPTIONS", requires = "engine")]
    cluster_dial: Option<String>,

    /// How many connections to each other node are kept ready [default: 4]
    #[arg(long, value_name = "NUMBER", requires = "engine")]
    cluster_ready: Option<u8>,

    /// The address at which other nodes dial this one [default: that of --cluster]
    #[arg(long, value_name = "HOST:PORT", requires = "engine")]
    node_addr: Option<String>,

    /// Where clients reach this node: other nodes send clients with rendezvous.redirect here when their partner
    /// waits here [default: none]
    #[arg(long, value_name = "HOST:PORT", requires = "engine")]
    public_addr: Option<DialAddr>,

    /// The name of this node in the logs of others [default: its address]
    #[arg(long, value_name = "NAME", requires = "engine")]
    node_name: Option<String>,

    /// How long the match-maker keeps an offer unless it is renewed [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "engine")]
    lease: Option<Duration>,
}

/// A node that can be started: nothing of it fails any more.
#[derive(Debug)]
pub(crate) struct OpenCluster {
    engine: RedisEngine,
    pub(crate) port: Incoming,
    addr: NodeAddr,
}

/// How this node meets others.
#[derive(Clone, Debug)]
pub(crate) struct ClusterSpec {
    servers: Vec<RedisServer>,
    secret: Secret,
    pub(crate) port: SideSpec,
    dialled: SideSpec,
    ready: Sourced<u8>,
    addr: Option<String>,
    pub(crate) public: Option<DialAddr>,
    name: Option<String>,
    lease: Sourced<Duration>,
    /// The node, once it is started.
    running: Arc<OnceLock<Cluster>>,
}

// ===== impl ClusterArgs =====

impl ClusterArgs {
    /// None without a match-maker.
    pub(crate) fn spec(&self, handshakes: Handshakes) -> Result<Option<ClusterSpec>, Mistake> {
        let servers = self.engine.servers()?;
        let (port, secret) = match (&self.cluster, &self.cluster_secret) {
            _ if servers.is_empty() => return Ok(None),
            (Some(port), Some(secret)) => (port, secret),
            (port, secret) => return Err(missing(port.is_none(), secret.is_none())),
        };
        let port = side(port, handshakes, "cluster")?;
        if port.endpoint.is_dialled() || port.endpoint.is_stdio() {
            return Err(Mistake::new(
                format!(
                    "other nodes connect to `--cluster`, and `{}` is no port",
                    port.endpoint.address
                ),
                "`--cluster=listen:HOST:PORT`",
            ));
        }
        Ok(Some(ClusterSpec {
            servers,
            secret: Secret::new(cluster_secret(secret)?),
            port,
            dialled: dialled(self.cluster_dial.as_deref(), handshakes)?,
            ready: Sourced::flag(self.cluster_ready, 4),
            addr: self.node_addr.clone(),
            public: self.public_addr.clone(),
            name: self.node_name.clone(),
            lease: Sourced::flag(self.lease, Duration::from_secs(15)),
            running: Arc::default(),
        }))
    }
}

/// What a node needs beside its match-maker.
fn missing(port: bool, secret: bool) -> Mistake {
    let flags = [
        (port, "--cluster=SIDE", "--cluster=listen:10.0.0.1:4001"),
        (
            secret,
            "--cluster-secret=@FILE",
            "--cluster-secret=@cluster.secret",
        ),
    ];
    let flags = flags.iter().filter(|(is_missing, ..)| *is_missing);
    let (forms, values): (Vec<_>, Vec<_>) = flags
        .map(|(_, form, value)| (format!("`{form}`"), *value))
        .unzip();
    let verb = if forms.len() == 1 { "is" } else { "are" };
    Mistake::new(
        format!(
            "{} {verb} missing: nodes connect to each other",
            forms.join(" and ")
        ),
        format!("as in `--engine=redis://HOST:6379/0 {}`", values.join(" ")),
    )
    .about("engine")
}

/// The secret is worth all clients of the cluster.
fn cluster_secret(given: &str) -> Result<Vec<u8>, Mistake> {
    const SHORTEST: usize = 16;
    let secret = secret::line(given, "--cluster-secret=@FILE");
    let secret = secret.and_then(|secret| match secret.len() {
        ..SHORTEST => Err(Mistake::new(
            format!("`{}`: the secret has {} bytes", &given[1..], secret.len()),
            "16 bytes or more, as `couplet keygen --kind=secret FILE` makes them",
        )),
        _ => Ok(secret),
    });
    secret.map_err(|mistake| mistake.within("--cluster-secret").about("cluster-secret"))
}

/// What a connection to another node goes through; the address is the match-maker's.
fn dialled(options: Option<&str>, handshakes: Handshakes) -> Result<SideSpec, Mistake> {
    let word = match options {
        Some(options) => format!("dial:node:1,{options}"),
        None => "dial:node:1".to_owned(),
    };
    side(&word, handshakes, "cluster-dial")
}

fn side(words: &str, handshakes: Handshakes, flag: &str) -> Result<SideSpec, Mistake> {
    let words: SideWords = words.into();
    SideSpec::read(&words, handshakes, DialledFor::Itself).map_err(|wrong| {
        let wrong = words.hide_secrets(first(wrong));
        wrong.within(format!("--{flag}")).about(flag)
    })
}

// ===== impl ClusterSpec =====

impl ClusterSpec {
    /// For `explain`.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let names: Vec<_> = self.servers.iter().map(|server| server.name()).collect();
        let mut settings = vec![Setting::new("engine", names.join(" "), Source::Flag)];
        let public = self.public.as_ref().map(ToString::to_string);
        let named = [
            ("node-addr", &self.addr),
            ("public-addr", &public),
            ("node-name", &self.name),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                settings.push(Setting::new(name, value, Source::Flag));
            }
        }
        let lease = Limit::At(self.lease.value);
        settings.push(Setting::new("lease", lease, self.lease.from));
        let ready = &self.ready;
        settings.push(Setting::new("cluster-ready", ready.value, ready.from));
        settings
    }

    /// The layers of a connection to another node.
    pub(crate) fn dialled(&self) -> &SideSpec {
        &self.dialled
    }

    /// Looks at the match-makers, and listens for other nodes; a socket that is there already is taken over.
    pub(crate) async fn open(
        &self,
        flags: EndpointFlags,
        kept: Option<Kept>,
    ) -> anyhow::Result<OpenCluster> {
        let engine = RedisEngine::new(self.servers.clone());
        for checked in engine.check().await {
            match checked {
                Ok(Checked::Well(server)) => tracing::info!(server, "match-maker"),
                Ok(Checked::Warning(warning)) => tracing::warn!("{warning}"),
                // It may come yet; the connection tells of it by itself.
                Err(CheckError::Away { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
        let Endpoint::Incoming(port) = self.port.endpoint.open_or_adopt(flags, kept).await? else {
            bail!("--cluster listens: `listen:HOST:PORT`");
        };
        let addr = self.node_addr(port.local_addr())?;
        Ok(OpenCluster { engine, port, addr })
    }

    /// Starts the node of a rendezvous by key, and the rendezvous with the other end of its switchboard.
    pub(crate) fn start(
        &self,
        opened: OpenCluster,
        relay: impl FnOnce(Attachment<BoxIo, MeetingKey>) -> anyhow::Result<Handle>,
    ) -> anyhow::Result<Handle> {
        let (switchboard, notices, attachment) = switchboard();
        let (node, port) = self.node(opened, |engine| engine);
        let relay = relay(attachment)?;
        self.serve(node.start(switchboard, notices), port);
        Ok(relay)
    }

    /// The same of a queue, whose relay has two listening sides.
    pub(crate) fn start_queue(
        &self,
        opened: OpenCluster,
        queue: &str,
        relay: impl FnOnce(Attachment<BoxIo, Side, ()>) -> anyhow::Result<Handle>,
    ) -> anyhow::Result<Handle> {
        let (switchboard, notices, attachment) = switchboard();
        // Each node has its own bound of those that wait.
        let (node, port) = self.node(opened, |engine| engine.per_key(u32::MAX as usize));
        let relay = relay(attachment)?;
        self.serve(node.start_queue(queue, switchboard, notices), port);
        Ok(relay)
    }

    fn node(
        &self,
        OpenCluster { engine, port, addr }: OpenCluster,
        bound: impl FnOnce(RedisEngine) -> RedisEngine,
    ) -> (Node, Incoming) {
        let name = self.name.as_deref().unwrap_or(addr.as_str());
        tracing::info!(node = name, address = %addr, "node of a cluster");
        let engine = ServiceBuilder::new()
            .concurrency_limit(IN_FLIGHT)
            .service(bound(engine));
        let layers = Arc::new(self.dialled.stack());
        let socket = SocketOptions::new();
        let dial = service_fn(move |addr| dial(addr, socket, Arc::clone(&layers)));
        let node = Node::new(name, addr.clone(), self.secret.clone(), engine, dial);
        let node = node.lease(self.lease.value).ready(self.ready.value.into());
        let node = match &self.public {
            Some(public) => node.public(public.clone()),
            None => node,
        };
        (node, port)
    }

    /// Serves other nodes until this one has ended.
    fn serve(&self, cluster: Cluster, port: Incoming) {
        let stack = self.port.stack().layer(cluster.port());
        let serving = serve(port.map_ok(Conn::boxed), stack);
        let serving = tokio::spawn(RelayName::current().scope(serving));
        let ended = cluster.clone();
        tokio::spawn(async move {
            ended.ended().await;
            serving.abort();
        });
        let _ = self.running.set(cluster);
    }

    /// The node, once it is started.
    #[cfg(feature = "admin")]
    pub(crate) fn running(&self) -> Option<&Cluster> {
        self.running.get()
    }

    /// Waits until the offers of this node are taken back.
    pub(crate) async fn ended(&self) {
        if let Some(cluster) = self.running.get() {
            let _ = tokio::time::timeout(PATIENCE, cluster.ended()).await;
        }
    }

    /// Where other nodes dial this one.
    fn node_addr(&self, listening: Option<LocalAddr>) -> anyhow::Result<NodeAddr> {
        let listening = listening.and_then(|addr| addr.tcp());
        let addr = match (&self.addr, listening) {
            (Some(addr), _) => addr.clone(),
            (None, Some(addr)) if !addr.ip().is_unspecified() => addr.to_string(),
            _ => bail!(
                "other nodes can't dial `{}`: an address of this machine, or `--node-addr=HOST:PORT`",
                self.port.endpoint.address
            ),
        };
        NodeAddr::try_from(&*addr).context("--node-addr")
    }
}

/// Dials another node, through the layers of `--cluster-dial`.
async fn dial(
    addr: NodeAddr,
    socket: SocketOptions,
    layers: Arc<SideLayers>,
) -> Result<Conn<BoxIo>, BoxError> {
    let dial = Dial::to(addr.as_str())?;
    let conn = dial
        .connect_timeout(CONNECT)
        .socket(socket)
        .connect()
        .await?;
    through(&layers, conn.boxed()).await
}
