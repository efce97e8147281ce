//! The cluster port: another node comes for a client of this node.

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::{
    endpoint::{BoxIo, Chain, Conn, Io, Replay, io::send_and_close},
    layers::{Handshake, HandshakeLayer, handshake::HandshakeService},
};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    sync::mpsc,
    time::{Instant, timeout},
};
use tower::{Layer, Service};

use super::{
    Count, MeetingCounts, Shared, WireError, guarded, standing_for,
    wire::{First, Join, Reply, Transcript},
};

/// How long the other node has to say what it comes for.
const FIRST: Duration = Duration::from_secs(5);

/// How long a connection is kept ready for another node, which takes a new one sooner.
const KEPT: Duration = Duration::from_secs(60);

/// How many are kept, of all nodes.
pub(super) const MOST_KEPT: usize = 1024;

/// How long the other node has to say GO. Its client may have been told by then that it is joined, so that a GO which
/// is lost on a link that is cut is waited for until TCP has sent it a few times more. A node that dies is known to be
/// dead sooner, but where its machine does.
const GO: Duration = Duration::from_secs(10);

/// How long the other node has to take an answer that is the last.
const PATIENCE: Duration = Duration::from_secs(2);

/// The handle of a started node: its counts, and the service of its cluster port. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Shared>,
    /// Open until the node has ended.
    at_work: mpsc::Sender<()>,
}

/// The service of a node's cluster port: the innermost of the port's side stack, below TLS, access lists and
/// limits. Made by [`Cluster::port`]; the future of a call ends when the connection is joined, or refused.
///
/// Peers that have not proven to be nodes are bounded as those of any
/// [`HandshakeLayer`](couplet_connector::layers::HandshakeLayer). Splice is kept, once the bytes behind GO are
/// read.
pub type Port = HandshakeService<ExpectNode, Reception>;

/// The handshake in which another node presents a ticket.
#[derive(Clone)]
pub struct ExpectNode {
    node: Arc<Shared>,
}

/// Joins the client for which another node has a ticket.
#[derive(Clone)]
pub struct Reception {
    node: Arc<Shared>,
}

/// What another node has said: in the extensions of its connection.
#[derive(Clone)]
struct Said {
    first: First,
    transcript: Transcript,
}

/// A connection to the cluster port was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The peer is no node of this cluster.
    #[error("peer is no node of this cluster")]
    Stranger(#[source] WireError),
    /// Another node reserved a client, and then did not present the ticket.
    #[error("node reserved a client and presented no ticket")]
    Unclaimed(#[source] WireError),
}

// ===== impl Cluster =====

impl Cluster {
    pub(super) fn new(node: Arc<Shared>, at_work: mpsc::Sender<()>) -> Self {
        Self { node, at_work }
    }

    /// The service of the cluster port.
    pub fn port(&self) -> Port {
        let node = Arc::clone(&self.node);
        let expect = HandshakeLayer::new(ExpectNode { node }).timeout(Some(FIRST));
        let node = Arc::clone(&self.node);
        expect.layer(Reception { node })
    }

    /// The counts of the node.
    pub fn counts(&self) -> MeetingCounts {
        self.node.counts.clone()
    }

    /// Whether the match-maker has answered the last request. If not, clients of this node are still joined with
    /// each other, and live pairs go on.
    pub fn is_connected(&self) -> bool {
        self.node.gate.is_open()
    }

    /// The number of clients that are offered to other nodes.
    pub fn offered(&self) -> usize {
        self.node.tickets.len()
    }

    /// Waits until the node has ended: its rendezvous has ended, and its offers are withdrawn. Cancel-safe.
    pub async fn ended(&self) {
        self.at_work.closed().await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("node", &self.node.name)
            .field("home", &self.node.home)
            .finish_non_exhaustive()
    }
}

// ===== impl ExpectNode =====

impl<I: Io> Handshake<Conn<I>> for ExpectNode {
    type Output = Conn<Replay<BoxIo>>;
    type Error = ClusterError;
    type Future = BoxFuture<'static, Result<Self::Output, ClusterError>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let node = Arc::clone(&self.node);
        let mut conn = guarded(conn).map_io(Replay::new);
        async move {
            let mut transcript = Transcript::new(&node.secret);
            match first(&mut transcript, &mut conn.io).await {
                Ok(first) => {
                    conn.info.extensions.insert(Said { first, transcript });
                    Ok(conn)
                }
                Err(error) => {
                    node.counts.add(Count::Denied);
                    let error = ClusterError::Stranger(error);
                    tracing::warn!(conn = conn.info.id.get(), peer = %conn.info.peer_name(),
                        error = Chain(&error).to_string(), "connection to the cluster port is refused");
                    Err(error)
                }
            }
        }
        .boxed()
    }
}

async fn first(transcript: &mut Transcript, io: &mut Replay<BoxIo>) -> Result<First, WireError> {
    let first = transcript.read_first(io).await?;
    if first == First::Hello {
        io.write_all(&transcript.reply(&Reply::Ready)).await?;
        io.flush().await?;
        transcript.read_known(io).await?;
    }
    Ok(first)
}

impl fmt::Debug for ExpectNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpectNode")
    }
}

// ===== impl Reception =====

impl Service<Conn<Replay<BoxIo>>> for Reception {
    type Response = ();
    type Error = ClusterError;
    type Future = BoxFuture<'static, Result<(), ClusterError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClusterError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn<Replay<BoxIo>>) -> Self::Future {
        let node = Arc::clone(&self.node);
        async move {
            let (id, peer) = (conn.info.id, conn.info.peer_name());
            let received = receive(&node, conn).await;
            if let Err(error) = &received {
                node.counts.add(Count::Unclaimed);
                tracing::warn!(conn = id.get(), %peer, error = Chain(error).to_string(),
                    "client that another node reserved waits on");
            }
            received
        }
        .boxed()
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reception")
    }
}

async fn receive(node: &Shared, mut conn: Conn<Replay<BoxIo>>) -> Result<(), ClusterError> {
    let said: Option<&Said> = conn.info.extensions.get();
    let Said {
        first,
        mut transcript,
    } = said.cloned().expect("the handshake above has put it there");
    conn.info.extensions.remove::<Said>();
    let join = match first {
        First::Join(join) => join,
        First::Hello => match awaited(node, &mut conn, &mut transcript).await {
            Some(join) => join,
            None => return Ok(()),
        },
    };
    if join.follows
        && let Some(public) = &node.public
        && node.tickets.has(&join.ticket, &join.key, join.origin.side)
    {
        let reply = transcript.reply(&Reply::At(public.clone()));
        send_and_close(conn.io, &reply, PATIENCE).await;
        return Ok(());
    }
    // The compare-and-swap: the ticket is taken once, and so is the connection.
    let place = node.tickets.take(&join.ticket, &join.key, join.origin.side);
    let reserved = match place {
        Some(place) => node.switchboard.take(place).await,
        None => None,
    };
    let Some(reserved) = reserved else {
        node.counts.add(Count::GoneHere);
        let reply = transcript.reply(&Reply::Gone);
        send_and_close(conn.io, &reply, PATIENCE).await;
        return Ok(());
    };
    let claimed = timeout(GO, async {
        let reply = transcript.reply(&Reply::Ok(node.origin(reserved.info())));
        conn.io.write_all(&reply).await?;
        conn.io.flush().await?;
        transcript.read_go(&mut conn.io).await
    });
    let claimed = claimed
        .await
        .unwrap_or(Err(WireError::Io(io::ErrorKind::TimedOut.into())));
    // Where it fails, the connection is given back.
    claimed.map_err(ClusterError::Unclaimed)?;
    node.counts.add(Count::JoinedHere);
    reserved.join(standing_for(drained(conn), join.origin));
    Ok(())
}

/// The JOIN of a connection that is kept ready; `None` where the other node has no use for it any more.
async fn awaited(
    node: &Shared,
    conn: &mut Conn<Replay<BoxIo>>,
    transcript: &mut Transcript,
) -> Option<Join> {
    let _room = node.kept.try_acquire().ok()?;
    let reading = timeout(KEPT, transcript.read_join(&mut conn.io));
    let join = tokio::select! {
        join = reading => join.ok()?.ok()?,
        () = node.switchboard.ended() => return None,
    };
    conn.info.since = Instant::now();
    Some(join)
}

/// A connection without the wrapper of bytes read ahead, if there are none.
pub(super) fn drained(conn: Conn<Replay<BoxIo>>) -> Conn<BoxIo> {
    match conn.io.ahead().is_empty() {
        true => conn.map_io(|io| io.into_parts().0),
        false => conn.boxed(),
    }
}
