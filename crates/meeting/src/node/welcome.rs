//! The cluster port: another node comes for a client of this node.

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::endpoint::{BoxIo, Chain, Conn, Io, Replay, io::send_and_close};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};
use tower::Service;

use super::{
    Count, MeetingCounts, Shared, WireError, guarded, standing_for,
    wire::{Reply, Transcript},
};

/// How long the other node has to say what it comes for.
const FIRST: Duration = Duration::from_secs(5);

/// How long the other node has to say GO, and to take the answer that the client has gone.
const GO: Duration = Duration::from_secs(2);

/// The service of a node's cluster port: the innermost of the port's side stack, below TLS, access lists and
/// limits. Cheap to clone. The future of a call ends when the connection is joined, or refused.
///
/// Splice is kept, once the bytes behind GO are read.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Shared>,
    /// Open until the node has ended.
    at_work: mpsc::Sender<()>,
}

/// A connection to the cluster port was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The peer is no node of this cluster.
    #[error("peer is no node of this cluster")]
    Stranger(#[source] WireError),
    /// The peer did not say in time what it comes for.
    #[error("peer has not said within {FIRST:?} what it comes for")]
    Silent,
    /// Another node reserved a client, and then did not come for it.
    #[error("node has not come for the client that it reserved")]
    Unclaimed(#[source] WireError),
}

// ===== impl Cluster =====

impl Cluster {
    pub(super) fn new(node: Arc<Shared>, at_work: mpsc::Sender<()>) -> Self {
        Self { node, at_work }
    }

    /// What the node has done.
    pub fn counts(&self) -> MeetingCounts {
        self.node.counts.clone()
    }

    /// Whether the match-maker has answered the last request. Where it has not, clients of this node still meet
    /// each other, and live pairs go on.
    pub fn is_connected(&self) -> bool {
        self.node.gate.is_open()
    }

    /// The number of clients that are offered to other nodes.
    pub fn offered(&self) -> usize {
        self.node.tickets.len()
    }

    /// Waits until the node has ended: its rendezvous has, and its offers are taken back. Cancel-safe.
    pub async fn ended(&self) {
        self.at_work.closed().await;
    }
}

impl<I: Io> Service<Conn<I>> for Cluster {
    type Response = ();
    type Error = ClusterError;
    type Future = BoxFuture<'static, Result<(), ClusterError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClusterError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let node = Arc::clone(&self.node);
        let conn = guarded(conn);
        async move {
            let (id, peer) = (conn.info.id, conn.info.peer_name());
            let welcomed = welcome(&node, conn).await;
            if let Err(error) = &welcomed {
                node.counts.add(match error {
                    ClusterError::Unclaimed(_) => Count::Unclaimed,
                    _ => Count::Denied,
                });
                tracing::warn!(conn = id.get(), %peer, error = Chain(error).to_string(),
                    "connection to the cluster port is refused");
            }
            welcomed
        }
        .boxed()
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

async fn welcome(node: &Shared, conn: Conn<BoxIo>) -> Result<(), ClusterError> {
    let mut conn = conn.map_io(Replay::new);
    let mut transcript = Transcript::new(&node.secret);
    let join = match timeout(FIRST, transcript.read_join(&mut conn.io)).await {
        Ok(join) => join.map_err(ClusterError::Stranger)?,
        Err(_) => return Err(ClusterError::Silent),
    };
    // The compare-and-swap: the ticket is taken once, and so is the connection.
    let place = node.tickets.take(&join.ticket, &join.key, join.origin.side);
    let reserved = match place {
        Some(place) => node.switchboard.take(place).await,
        None => None,
    };
    let Some(reserved) = reserved else {
        node.counts.add(Count::GoneHere);
        let reply = transcript.reply(&Reply::Gone);
        send_and_close(conn.io, &reply, GO).await;
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

/// A connection without the wrapper of bytes read ahead, if there are none.
pub(super) fn drained(conn: Conn<Replay<BoxIo>>) -> Conn<BoxIo> {
    match conn.io.ahead().is_empty() {
        true => conn.map_io(|io| io.into_parts().0),
        false => conn.boxed(),
    }
}
