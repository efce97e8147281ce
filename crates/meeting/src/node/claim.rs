//! Joins a client of this node with a client that waits at another node.

use std::{io, time::Duration};

use couplet_connector::{
    endpoint::{BoxError, BoxIo, Chain, Conn, DialAddr, Refusal, Replay, Side, find_cause},
    pairing::{Notice, Place, Reserved},
};
use couplet_protocols::meet::{Meeting, Redirect};
use thiserror::Error;
use tokio::{io::AsyncWriteExt, time::timeout};
use tower::ServiceExt;

use super::{
    Count, Shared, WireError,
    spares::Spare,
    standing_for,
    welcome::drained,
    wire::{Join, Origin, Reply, Transcript},
};
use crate::engine::{Offer, Peer, Request};

/// How long dialling another node and its answer may take: longer than a repetition of the first packet, and
/// than the home asks whether its client is there.
const WITHIN: Duration = Duration::from_secs(5);

/// Another node has the client reserved.
struct Met {
    conn: Conn<Replay<BoxIo>>,
    transcript: Transcript,
    origin: Origin,
}

/// What another node has answered.
enum Asked {
    Met(Box<Met>),
    Gone,
    /// The client is to go there itself.
    At(DialAddr),
}

/// Another node could not be asked.
#[derive(Debug, Error)]
enum NotAsked {
    #[error("node can't be dialled")]
    Dial(#[source] BoxError),
    #[error("node does not answer")]
    Wire(#[from] WireError),
    #[error("node has not answered within {WITHIN:?}")]
    Late,
}

/// The client is joined, or given back to its rendezvous, which tells of it again.
pub(super) async fn claim(node: &Shared, alone: &Notice<(), Side>, offer: &Offer, peer: Peer) {
    if node.is_queue && peer.home == node.home {
        let place = node.tickets.take(&peer.ticket, &offer.key, offer.side);
        return join_here(node, alone, place).await;
    }
    let Some(reserved) = node.switchboard.take(alone.place).await else {
        // It has left, or another node has come for it: the peer is for the next.
        return node.tell(Request::PutBack(offer.clone(), peer)).await;
    };
    if peer.home == node.home {
        // Both are here, and meet when this one is back.
        return;
    }
    let asked = timeout(WITHIN, ask(node, &reserved, offer, &peer)).await;
    let asked = asked.unwrap_or(Err(NotAsked::Late));
    let answers = asked.is_ok().then(|| peer.home.clone());
    let (conn, peer_name) = (reserved.info().id, reserved.info().peer_name());
    match asked {
        Ok(Asked::Met(met)) => join(node, reserved, *met).await,
        Ok(Asked::At(addr)) => {
            node.counts.add(Count::Redirected);
            tracing::info!(conn = conn.get(), peer = %peer_name, node = %peer.home, to = %addr,
                "partner waits at another node, to which the client is sent");
            reserved.refuse(Refusal::Redirected, Redirect::new(addr));
        }
        Ok(Asked::Gone) => {
            node.counts.add(Count::GoneThere);
            tracing::debug!(conn = conn.get(), peer = %peer_name, node = %peer.home,
                "partner at another node has gone");
        }
        Err(error) => {
            node.counts.add(Count::Unreachable);
            tracing::warn!(conn = conn.get(), peer = %peer_name, node = %peer.home,
                error = Chain(&error).to_string(),
                "node of a partner can't be reached");
            // A node that refuses has died with its clients. Of any other, that is unknown.
            if !error.is_refused() {
                node.tell(Request::PutBack(offer.clone(), peer)).await;
            }
        }
    }
    // When the client is joined, so that it does not wait for the next ones' connections.
    if let Some(home) = answers {
        node.spares.is_in_use(&home);
    }
}

/// Joins a client of a queue with the one at this place of the same node. If either has gone, the other waits on, and
/// is told of again.
pub(super) async fn join_here(node: &Shared, alone: &Notice<(), Side>, partner: Option<Place>) {
    let Some(one) = node.switchboard.take(alone.place).await else {
        // The ticket of the partner is taken: given back, it is told of again, and gets another.
        if let Some(place) = partner {
            drop(node.switchboard.take(place).await);
        }
        return;
    };
    if let Some(place) = partner
        && let Some(other) = node.switchboard.take(place).await
    {
        one.join_here(other);
    }
}

async fn ask(
    node: &Shared,
    reserved: &Reserved<BoxIo>,
    offer: &Offer,
    peer: &Peer,
) -> Result<Asked, NotAsked> {
    let join = Join {
        ticket: peer.ticket,
        key: offer.key,
        origin: node.origin(reserved.info()),
        follows: Meeting::of(reserved.info()).is_some_and(Meeting::follows),
    };
    // One that turns out to be dead has not said whether the client is reserved. Asked again, the node gives a
    // client that it had reserved back, and says GONE.
    if let Some(spare) = node.spares.take(&peer.home)
        && let Ok(met) = exchange(spare, &join).await
    {
        node.counts.add(Count::KeptReady);
        return Ok(met);
    }
    let dialling = node.dial.clone().oneshot(peer.home.clone());
    let conn = dialling.await.map_err(NotAsked::Dial)?;
    let spare = Spare {
        conn: conn.map_io(Replay::new),
        transcript: Transcript::new(&node.secret),
    };
    Ok(exchange(spare, &join).await?)
}

async fn exchange(spare: Spare, join: &Join) -> Result<Asked, WireError> {
    let Spare {
        mut conn,
        mut transcript,
    } = spare;
    conn.io.write_all(&transcript.join(join)).await?;
    conn.io.flush().await?;
    match transcript.read_reply(&mut conn.io).await? {
        Reply::Ok(origin) => Ok(Asked::Met(Box::new(Met {
            conn,
            transcript,
            origin,
        }))),
        Reply::Gone => Ok(Asked::Gone),
        Reply::At(addr) if join.follows => Ok(Asked::At(addr)),
        Reply::At(_) | Reply::Ready => Err(WireError::Malformed),
    }
}

/// From here on there is no way back: the home joins as soon as it reads GO.
async fn join(node: &Shared, reserved: Reserved<BoxIo>, met: Met) {
    let Met {
        mut conn,
        transcript,
        origin,
    } = met;
    let said = async {
        conn.io.write_all(&transcript.go()).await?;
        conn.io.flush().await
    };
    // Where it can't be said, the home is not joined either, and waits on.
    if said.await.is_ok() {
        node.counts.add(Count::JoinedThere);
        reserved.join(standing_for(drained(conn), origin));
    }
}

// ===== impl NotAsked =====

impl NotAsked {
    fn is_refused(&self) -> bool {
        match self {
            Self::Dial(error) => find_cause::<io::Error>(&**error)
                .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused),
            Self::Wire(_) | Self::Late => false,
        }
    }
}
