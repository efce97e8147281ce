//! Nodes in memory, with relays as the command runs them, on a clock of their own; and the clients that come to
//! them.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_connector::{
    BoxError, Connector, Handle,
    endpoint::{Conn, Io, Origin, Side, memory},
    layers::HandshakeLayer,
    pairing::{WhenFull, switchboard},
    serve,
};
use couplet_meeting::{
    Cluster, Node, Secret,
    engine::{Answer, NodeAddr, Request},
};
use couplet_protocols::meet::{self, ExpectMeeting, MeetingKey};
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::AbortHandle,
    time::sleep,
};
use tower::service_fn;

/// How long an offer holds in these tests.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

pub(crate) type Engine =
    Arc<dyn Fn(usize, Request) -> BoxFuture<'static, Result<Answer, BoxError>> + Send + Sync>;

/// How a connection from one node to another goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Link {
    Up,
    Slow(Duration),
    /// Nothing arrives, and nothing is answered.
    Cut,
}

/// Nodes, some of them dead.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    engine: Engine,
    nodes: Mutex<Vec<Option<Alive>>>,
    link: Box<dyn Fn(usize, usize) -> Link + Send + Sync>,
    /// Clients reach each node.
    public: bool,
    /// How often each client was joined, by what its partner says.
    met: Mutex<HashMap<u64, Vec<u64>>>,
}

struct Alive {
    clients: memory::Dial,
    nodes: memory::Dial,
    relay: Handle,
    cluster: Cluster,
    port: AbortHandle,
}

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Met(u64),
    /// The connection ended before its partner had said its number; after the word that there is one, or before.
    Dropped {
        announced: bool,
    },
}

// ===== impl World =====

impl World {
    pub(crate) fn new(
        nodes: usize,
        engine: Engine,
        link: impl Fn(usize, usize) -> Link + Send + Sync + 'static,
    ) -> Self {
        Self::start_all(nodes, engine, false, link)
    }

    /// The same, where clients may go to the node of their partner: [`public`].
    pub(crate) fn of_public_nodes(nodes: usize, engine: Engine) -> Self {
        Self::start_all(nodes, engine, true, |_, _| Link::Up)
    }

    fn start_all(
        nodes: usize,
        engine: Engine,
        public: bool,
        link: impl Fn(usize, usize) -> Link + Send + Sync + 'static,
    ) -> Self {
        let world = Self(Arc::new(Shared {
            engine,
            public,
            nodes: Mutex::new((0..nodes).map(|_| None).collect()),
            link: Box::new(link),
            met: Mutex::default(),
        }));
        for node in 0..nodes {
            world.start(node);
        }
        world
    }

    pub(crate) fn len(&self) -> usize {
        self.0.nodes.lock().unwrap().len()
    }

    /// Starts a node that is dead.
    pub(crate) fn start(&self, node: usize) {
        let (clients, accepted) = memory::endpoint();
        let (nodes, accepted_nodes) = memory::endpoint();
        let (switchboard, notices, attachment) = switchboard();
        let ask = Arc::clone(&self.0.engine);
        let engine = service_fn(move |request| ask(node, request));
        let world = self.clone();
        let dial = service_fn(move |home: NodeAddr| {
            let world = world.clone();
            async move { world.dial(node, &home).await }
        });
        let home = NodeAddr::try_from(&*node.to_string()).unwrap();
        let secret = Secret::new(*b"the secret of all");
        let mut started =
            Node::new(&format!("node {node}"), home, secret, engine, dial).lease(LEASE);
        if self.0.public {
            started = started.public(public(node));
        }
        let cluster = started.start(switchboard, notices);
        let port = tokio::spawn(serve(accepted_nodes, cluster.port())).abort_handle();
        let keyed = meet::by_key().per_key(64, WhenFull::Refuse);
        let relay = Connector::keyed_with(accepted, keyed, attachment)
            .layer_a(HandshakeLayer::new(ExpectMeeting::new()))
            .layer_pair(HandshakeLayer::new(meet::announce()))
            .wait_timeout(None)
            .start();
        self.0.nodes.lock().unwrap()[node] = Some(Alive {
            clients,
            nodes,
            relay,
            cluster,
            port,
        });
    }

    /// Kills a node, with all its connections.
    pub(crate) async fn kill(&self, node: usize) {
        let killed = self.0.nodes.lock().unwrap()[node].take();
        if let Some(alive) = killed {
            alive.port.abort();
            alive.relay.close().await;
        }
    }

    pub(crate) fn cluster(&self, node: usize) -> Cluster {
        let nodes = self.0.nodes.lock().unwrap();
        nodes[node].as_ref().unwrap().cluster.clone()
    }

    pub(crate) fn relay(&self, node: usize) -> Handle {
        let nodes = self.0.nodes.lock().unwrap();
        nodes[node].as_ref().unwrap().relay.clone()
    }

    async fn dial(
        &self,
        from: usize,
        home: &NodeAddr,
    ) -> Result<Conn<memory::MemoryStream>, BoxError> {
        let to: usize = home.as_str().parse()?;
        match (self.0.link)(from, to) {
            Link::Up => {}
            Link::Slow(by) => sleep(by).await,
            Link::Cut => std::future::pending().await,
        }
        let nodes = self.0.nodes.lock().unwrap()[to]
            .as_ref()
            .map(|it| it.nodes.clone());
        let nodes = nodes.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(Conn::new(nodes.connect().await?, Origin::Dialled))
    }

    /// A client comes to a node, with this key, and says its number to its partner.
    pub(crate) async fn client(&self, number: u64, node: usize, key: u64, side: Side) -> Outcome {
        let mut announced = false;
        let partner = self
            .try_client(number, node, key, side, &mut announced)
            .await;
        match partner {
            Ok(partner) => {
                self.0
                    .met
                    .lock()
                    .unwrap()
                    .entry(partner)
                    .or_default()
                    .push(number);
                Outcome::Met(partner)
            }
            Err(_) => Outcome::Dropped { announced },
        }
    }

    async fn try_client(
        &self,
        number: u64,
        node: usize,
        key: u64,
        side: Side,
        announced: &mut bool,
    ) -> io::Result<u64> {
        let clients = self.0.nodes.lock().unwrap()[node]
            .as_ref()
            .map(|it| it.clients.clone());
        let clients = clients.ok_or(io::ErrorKind::ConnectionRefused)?;
        let mut io = Leaving(clients.connect().await?);
        let io = &mut io.0;
        let key = MeetingKey::of(key.to_be_bytes());
        let side = match side {
            Side::A => "a",
            Side::B => "b",
        };
        io.write_all(format!("couplet/1 {key} {side}\n").as_bytes())
            .await?;
        let mut answer = [0; 3];
        io.read_exact(&mut answer).await?;
        if answer != *b"ok\n" {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        *announced = true;
        io.write_all(&number.to_be_bytes()).await?;
        let mut partner = [0; 8];
        io.read_exact(&mut partner).await?;
        // And nothing more: half-close is passed on.
        io.shutdown().await?;
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await?;
        assert!(rest.is_empty(), "{rest:?}");
        Ok(u64::from_be_bytes(partner))
    }

    /// What a node answers a client that says this line.
    pub(crate) async fn answer(&self, node: usize, line: &str) -> io::Result<String> {
        let clients = self.0.nodes.lock().unwrap()[node]
            .as_ref()
            .map(|it| it.clients.clone());
        let mut io = Leaving(clients.unwrap().connect().await?);
        io.0.write_all(line.as_bytes()).await?;
        let mut answer = Vec::new();
        while answer.last() != Some(&b'\n') {
            answer.push(io.0.read_u8().await?);
        }
        Ok(String::from_utf8(answer).unwrap())
    }

    /// The clients that a client says it has met, by the met one.
    pub(crate) fn met(&self) -> HashMap<u64, Vec<u64>> {
        self.0.met.lock().unwrap().clone()
    }
}

/// Where clients reach a node, if they do.
pub(crate) fn public(node: usize) -> couplet_connector::endpoint::DialAddr {
    format!("node-{node}:4000").parse().unwrap()
}

/// A client that leaves resets its connection: an end of stream could mean that it waits for an answer.
struct Leaving(memory::MemoryStream);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A match-maker as it is.
pub(crate) fn honest(engine: couplet_meeting::MemoryEngine) -> Engine {
    Arc::new(move |_, request| {
        let engine = engine.clone();
        async move {
            let answer = tower::ServiceExt::oneshot(engine, request).await;
            answer.map_err(BoxError::from)
        }
        .boxed()
    })
}
