//! A node: offers its clients that wait alone to a match-maker, and joins them with those of other nodes.
//!
//! ```text
//!  rendezvous ── Notice ──▶ seek ── Meet ──▶ match-maker
//!      ▲                     │ Found
//!      │◀── take, join ──  claim ── JOIN, OK, GO ──▶ cluster port of the other node: welcome
//!      │                                                                     │
//!      ╰── and there, too: take, join ◀──────────────────────────────────────╯
//! ```
//!
//! The *claimer*, the node whose client came last, takes its own client out of its rendezvous, dials the other
//! node, the *home*, and says which ticket it comes for. The home takes the client of that ticket out of its
//! rendezvous and answers OK, or GONE if there is none. The claimer says GO, and both join. A client that was
//! taken in vain is given back, and is offered again under a new ticket.
//!
//! A client that goes where it is sent is not forwarded: the home answers AT in place of OK, with the address at
//! which clients reach it, and its own client waits on there.

mod claim;
mod counts;
mod gate;
mod seek;
mod spares;
mod tickets;
mod welcome;
mod wire;

pub use self::{
    counts::{Count, MeetingCounts},
    welcome::{Cluster, ClusterError, ExpectNode, Port, Reception},
    wire::{Secret, WireError},
};

use std::{fmt, sync::Arc, time::Duration};

use couplet_connector::{
    endpoint::{BoxError, BoxIo, Conn, DialAddr, Info, Io, RelayName, Side, io::ResetUnlessShut},
    layers::{Forwarded, handshake::Identity},
    pairing::{Notice, Notices, Switchboard},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use self::{gate::Gate, spares::Spares, tickets::Tickets, wire::Origin};
use crate::engine::{Answer, Key, NodeAddr, Request};

/// How long an offer holds at the match-maker unless it is renewed.
const LEASE: Duration = Duration::from_secs(15);

/// How many connections to each other node are kept ready.
const READY: usize = 4;

/// A node of a rendezvous, before it is started: the settings.
///
/// ```
/// # use std::convert::Infallible;
/// use couplet_connector::{
///     Connector,
///     endpoint::{Dial, Listen},
///     layers::HandshakeLayer,
///     pairing::switchboard,
///     serve,
/// };
/// use couplet_protocols::meet;
/// use couplet_meeting::{MemoryEngine, Node, Secret, engine::NodeAddr};
/// use tower::{ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let clients = Listen::bind("127.0.0.1:0").await?;
/// let nodes = Listen::bind("127.0.0.1:0").await?;
/// let home = NodeAddr::try_from(&*nodes.local_addr().to_string())?;
/// let dial = service_fn(async |home: NodeAddr| Dial::to(home.as_str())?.connect().await.map_err(BoxError::from));
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
///
/// let (switchboard, notices, attachment) = switchboard();
/// let node = Node::new("a", home, Secret::new(*b"sixteen or more!"), MemoryEngine::new(), dial);
/// let cluster = node.start(switchboard, notices);
/// tokio::spawn(serve(nodes, cluster.port()));
/// let relay = Connector::keyed_with(clients, meet::by_key(), attachment)
///     .layer_a(HandshakeLayer::new(meet::ExpectMeeting::new()))
///     .layer_pair(HandshakeLayer::new(meet::announce()))
///     .start();
/// # relay.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Node {
    name: Arc<str>,
    home: NodeAddr,
    secret: Secret,
    engine: Engine,
    dial: Dial,
    lease: Duration,
    ready: usize,
    public: Option<DialAddr>,
}

type Engine = BoxCloneSyncService<Request, Answer, BoxError>;
type Dial = BoxCloneSyncService<NodeAddr, Conn<BoxIo>, BoxError>;

/// A node at work.
pub(crate) struct Shared {
    name: Arc<str>,
    home: NodeAddr,
    secret: Secret,
    engine: Engine,
    dial: Dial,
    lease: Duration,
    public: Option<DialAddr>,
    /// All clients are of one queue, in which the first of a side meets the first of the other.
    is_queue: bool,
    switchboard: Switchboard<BoxIo>,
    tickets: Tickets,
    gate: Gate,
    counts: MeetingCounts,
    /// Connections to other nodes that are kept ready, and room for those of other nodes.
    spares: Spares,
    kept: Semaphore,
}

// ===== impl Node =====

impl Node {
    /// A node of this name, which other nodes dial at `home`. All nodes share the secret and the match-maker.
    ///
    /// `dial` is called with the address of another node. Bound both services by tower's layers; dropping a
    /// call's future must be harmless.
    pub fn new<E, D, I>(name: &str, home: NodeAddr, secret: Secret, engine: E, dial: D) -> Self
    where
        E: Service<Request, Response = Answer, Error: Into<BoxError>, Future: Send + 'static>
            + Clone
            + Send
            + Sync
            + 'static,
        D: Service<NodeAddr, Response = Conn<I>, Error: Into<BoxError>, Future: Send + 'static>
            + Clone
            + Send
            + Sync
            + 'static,
        I: Io,
    {
        let engine = engine.map_err(Into::into);
        let dial = dial.map_response(guarded).map_err(Into::into);
        Self {
            name: name.into(),
            home,
            secret,
            engine: BoxCloneSyncService::new(engine),
            dial: BoxCloneSyncService::new(dial),
            lease: LEASE,
            ready: READY,
            public: None,
        }
    }

    /// The lease of an offer; the node renews it every third of the time. 15 s by default.
    ///
    /// When a node dies, others dial it in vain until the leases of its clients are over. When the match-maker
    /// has lost its offers, clients wait for a third of a lease longer.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The number of connections to each other node that are kept ready, so that two clients of two nodes are joined
    /// in one round trip. 4 by default, for the 64 nodes that were dialled last, as long as a client of that node
    /// was asked for within the last minute; `0` dials for each client.
    #[must_use]
    pub fn ready(mut self, connections: usize) -> Self {
        self.ready = connections;
        self
    }

    /// Where clients reach this node. Those of other nodes whose partner waits here, and that
    /// [follow](couplet_protocols::meet::Meeting::follows), are sent here: their bytes then go
    /// through one node. None by default: all are forwarded.
    #[must_use]
    pub fn public(mut self, addr: DialAddr) -> Self {
        self.public = Some(addr);
        self
    }

    /// Starts the node, as a task that ends with the rendezvous.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start<K>(self, switchboard: Switchboard<BoxIo>, notices: Notices<K, Side>) -> Cluster
    where
        K: fmt::Display + Send + 'static,
    {
        self.run(false, switchboard, notices, |secret, notice| {
            let key = secret.key(b"", notice.key.to_string().as_bytes());
            (notice.map(|_, side| ((), side)), key)
        })
    }

    /// Starts the node of a relay with two listening sides, as a task that ends with the relay: the first client of
    /// side A is joined with the first of side B, whichever node of this `queue` each came to.
    ///
    /// The match-maker alone knows the order, so it is asked for each client, and the relay joins none by itself:
    /// its key is the side, and all connections have the same [`side`](couplet_connector::pairing::Keyed::side). While
    /// the match-maker is away, the clients of each node are joined in their order there.
    ///
    /// ```
    /// # use couplet_connector::{Connector, endpoint::{BoxIo, Endpoint, Side}, pairing::{Attachment, Keyed}};
    /// # fn relay(a: impl Endpoint, b: impl Endpoint, attachment: Attachment<BoxIo, Side, ()>) {
    /// let apart = Keyed::new(|info| info.side).side(|_| Some(())).per_key(1024, couplet_connector::pairing::WhenFull::Refuse);
    /// let connector = Connector::listen_listen(a, b).by_key_with(apart, attachment);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start_queue(
        self,
        queue: &str,
        switchboard: Switchboard<BoxIo>,
        notices: Notices<Side, ()>,
    ) -> Cluster {
        let key = self.secret.key(b"queue ", queue.as_bytes());
        self.run(true, switchboard, notices, move |_, notice| {
            (notice.map(|side, _| ((), Some(side))), key)
        })
    }

    fn run<K, S>(
        self,
        is_queue: bool,
        switchboard: Switchboard<BoxIo>,
        notices: Notices<K, S>,
        of: impl Fn(&Secret, Notice<K, S>) -> (Notice<(), Side>, Key) + Send + 'static,
    ) -> Cluster
    where
        K: Send + 'static,
        S: Send + 'static,
    {
        let shared = Arc::new(Shared {
            name: self.name,
            home: self.home,
            secret: self.secret,
            engine: self.engine,
            dial: self.dial,
            lease: self.lease,
            public: self.public,
            is_queue,
            switchboard,
            tickets: Tickets::default(),
            gate: Gate::new(),
            counts: MeetingCounts::default(),
            spares: Spares::new(self.ready),
            kept: Semaphore::new(welcome::MOST_KEPT),
        });
        let (at_work, working) = mpsc::channel(1);
        let work = work(Arc::clone(&shared), notices, of);
        tokio::spawn(RelayName::current().scope(async move {
            work.await;
            drop(working);
        }));
        Cluster::new(shared, at_work)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("home", &self.home)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// Seeks a partner for each connection that waits alone, until the rendezvous has ended and all offers are
/// taken back.
async fn work<K, S>(
    shared: Arc<Shared>,
    mut notices: Notices<K, S>,
    of: impl Fn(&Secret, Notice<K, S>) -> (Notice<(), Side>, Key),
) {
    let mut seeking = JoinSet::new();
    let mut keeping = std::pin::pin!(spares::keep(&shared));
    loop {
        tokio::select! {
            () = &mut keeping => {}
            notice = notices.recv() => match notice {
                Some(notice) => {
                    let (notice, key) = of(&shared.secret, notice);
                    let seek = seek::seek(Arc::clone(&shared), notice, key);
                    seeking.spawn(RelayName::current().scope(seek));
                }
                None => break,
            },
            Some(_) = seeking.join_next() => {}
        }
    }
    while seeking.join_next().await.is_some() {}
    shared.spares.clear();
}

// ===== impl Shared =====

impl Shared {
    /// What the other node is told of a client.
    fn origin(&self, info: &Info) -> Origin {
        let identity: Option<&Identity> = info.extensions.get();
        Origin {
            node: self.name.to_string(),
            client: info.peer,
            side: info.side,
            identity: identity.map(|identity| identity.name().to_owned()),
            waited: info.since.elapsed(),
        }
    }
}

/// A connection of another node that stands for this client of that node.
fn standing_for(mut conn: Conn<BoxIo>, origin: Origin) -> Conn<BoxIo> {
    // The time of its own handshakes, before it gets the age of the client.
    conn.info.is_through();
    let Origin {
        node,
        client,
        side,
        identity,
        waited,
    } = origin;
    conn.info.side = side;
    conn.info
        .extensions
        .insert(Forwarded::new(node, conn.info.peer));
    conn.info.peer = client;
    let now = Instant::now();
    conn.info.since = now.checked_sub(waited).unwrap_or(now);
    if let Some(identity) = identity {
        Identity::new(identity).put_into(&mut conn.info);
    }
    conn
}

/// A connection whose peer sees a reset unless it is shut down, as all connections of a relay.
fn guarded<I: Io>(conn: Conn<I>) -> Conn<BoxIo> {
    conn.map_io(ResetUnlessShut::new).boxed()
}
