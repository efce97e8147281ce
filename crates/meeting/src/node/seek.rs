//! Seeks a partner for one connection that waits alone, at the match-maker.

use std::{sync::Arc, time::Duration};

use couplet_connector::{
    endpoint::{Chain, Side},
    pairing::{Notice, Place},
};
use tokio::time::sleep;
use tower::ServiceExt;

use super::{
    Count, Shared,
    claim::{claim, join_here},
    gate,
};
use crate::engine::{Answer, Key, Offer, Peer, Request, Ticket};

type Alone = Notice<(), Side>;

/// A partner.
enum Found {
    /// The match-maker has told.
    Told(Peer),
    /// The match-maker is away, and one waits at this node.
    Here(Place),
}

/// Until the connection waits alone no longer.
pub(super) async fn seek(node: Arc<Shared>, mut alone: Alone, key: Key) {
    if alone.returned > 0 {
        node.counts.add(Count::Retried);
    }
    // One that was taken in vain: not at once, if that has happened before.
    tokio::select! {
        () = gate::pause_after(alone.returned.saturating_sub(1)) => {}
        () = alone.left() => return,
    }
    let offer = Offer {
        key,
        side: alone.side,
        ticket: Ticket::random(),
        home: node.home.clone(),
        lease: node.lease,
        waited: node.is_queue.then(|| alone.since.elapsed()),
    };
    let listed = node.tickets.list(&offer, alone.place);
    match find(&node, &mut alone, &offer).await {
        Some(Found::Told(peer)) => {
            drop(listed);
            return claim(&node, &alone, &offer, peer).await;
        }
        Some(Found::Here(place)) => return join_here(&node, &alone, Some(place)).await,
        None => {}
    }
    // Where another node has come, the match-maker knows.
    if listed.is_untaken() {
        node.tell(Request::Leave(offer)).await;
    }
}

/// Asks until a partner is found, or the connection has left. A partner that is found then is put back.
async fn find(node: &Shared, alone: &mut Alone, offer: &Offer) -> Option<Found> {
    loop {
        // The rendezvous joins no clients of a queue itself.
        if node.is_queue
            && !node.gate.is_open()
            && let Some(place) = node.tickets.take_first_for(offer)
        {
            return Some(Found::Here(place));
        }
        let leave = tokio::select! {
            leave = node.gate.pass() => leave,
            () = alone.left() => return None,
        };
        // Not given up when the connection leaves: the request may take a partner out all the same.
        let asked = Offer {
            waited: offer.waited.map(|_| alone.since.elapsed()),
            ..offer.clone()
        };
        let answer = node.ask(Request::Meet(asked)).await;
        drop(leave);
        match answer {
            Some(Answer::Found(peer)) if alone.has_left() => {
                node.tell(Request::PutBack(offer.clone(), peer)).await;
                return None;
            }
            Some(Answer::Found(peer)) => return Some(Found::Told(peer)),
            Some(answer) => {
                if answer == Answer::Full {
                    node.counts.add(Count::Full);
                }
                tokio::select! {
                    () = sleep(until_renewal(offer)) => {}
                    () = alone.left() => return None,
                }
            }
            None => {}
        }
    }
}

/// A third of the lease, give or take a sixth of that: those that came at once are not renewed at once.
fn until_renewal(offer: &Offer) -> Duration {
    let jitter = f64::from(offer.ticket.0[0]) / 255.0;
    offer.lease.mul_f64((5.0 + 2.0 * jitter) / 18.0)
}

// ===== impl Shared =====

impl Shared {
    /// The answer of the match-maker; `None` where it fails, and the gate is shut.
    async fn ask(&self, request: Request) -> Option<Answer> {
        match self.engine.clone().oneshot(request).await {
            Ok(answer) => {
                self.counts.add(Count::Answered);
                if self.gate.answered() {
                    tracing::info!("match-maker answers again");
                }
                Some(answer)
            }
            Err(error) => {
                self.counts.add(Count::Failed);
                if self.gate.failed() {
                    let error = Chain(&*error).to_string();
                    tracing::warn!(
                        error,
                        "match-maker does not answer: clients of this node still meet here"
                    );
                }
                None
            }
        }
    }

    /// Tells the match-maker something that it finds out by itself, if later: once.
    pub(super) async fn tell(&self, request: Request) {
        if self.gate.is_open() {
            self.ask(request).await;
        }
    }
}
