//! A match-maker in memory: for several relays of one process, and for tests.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower::Service;

use super::{Answer, Key, Offer, Peer, Request, Ticket};

/// How long an answer is remembered, for an asker whose reply was lost.
const ANSWERED: Duration = Duration::from_secs(10);

/// A match-maker within the process, on tokio's clock. Cheap to clone; clones are the same match-maker.
///
/// The offer that was entered first, or has [waited](Offer::waited) longest, is found first. Memory: the offers, each until the end of its lease, and
/// the answers of the last ten seconds.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    offers: HashMap<Key, Vec<Entered>>,
    answered: HashMap<Ticket, Peer>,
    /// The same, the oldest first.
    forgets: VecDeque<(Instant, Ticket)>,
}

#[derive(Debug)]
struct Entered {
    offer: Offer,
    until: Instant,
    /// Its place in the line.
    arrived: Option<Instant>,
}

// ===== impl MemoryEngine =====

impl MemoryEngine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all offers and answers.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Shared::default();
    }

    /// The number of offers, those beyond their lease among them until their key is asked for.
    pub fn len(&self) -> usize {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.offers.values().map(Vec::len).sum()
    }

    /// Whether there is no offer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Service<Request> for MemoryEngine {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(shared.answer(request)))
    }
}

// ===== impl Shared =====

impl Shared {
    fn answer(&mut self, request: Request) -> Answer {
        let now = Instant::now();
        match request {
            Request::Meet(offer) => self.meet(offer, now),
            Request::Leave(offer) => {
                self.change(offer.key, now, |offers| {
                    offers.retain(|entered| entered.offer.ticket != offer.ticket);
                });
                Answer::Done
            }
            Request::PutBack(asker, Peer { side, ticket, home }) => {
                let offer = Offer {
                    side,
                    ticket,
                    home,
                    // The wait is not known: it is the last until it is renewed.
                    waited: asker.waited.map(|_| Duration::ZERO),
                    ..asker
                };
                self.change(offer.key, now, |offers| {
                    if offers.iter().all(|entered| entered.offer.ticket != ticket) {
                        enter(offers, Entered::new(offer, now));
                    }
                });
                Answer::Done
            }
        }
    }

    fn meet(&mut self, offer: Offer, now: Instant) -> Answer {
        while let Some((due, ticket)) = self.forgets.front()
            && *due <= now
        {
            self.answered.remove(ticket);
            self.forgets.pop_front();
        }
        if let Some(peer) = self.answered.get(&offer.ticket) {
            return Answer::Found(peer.clone());
        }
        let (asker, mut found) = (offer.ticket, None);
        self.change(offer.key, now, |offers| {
            let is_partner = |entered: &Entered| {
                entered.offer.ticket != asker && entered.offer.meets(offer.side)
            };
            let partner = offers.iter().position(is_partner);
            found = partner.map(|at| offers.remove(at).offer.peer());
            let own = offers.iter().position(|it| it.offer.ticket == asker);
            match (&found, own) {
                (Some(_), Some(own)) => drop(offers.remove(own)),
                (Some(_), None) => {}
                (None, own) => {
                    let renewed = own.map(|own| offers.remove(own));
                    let arrived = renewed.and_then(|before| before.arrived);
                    let mut entered = Entered::new(offer, now);
                    entered.arrived = arrived.into_iter().chain(entered.arrived).min();
                    enter(offers, entered);
                }
            }
        });
        match found {
            Some(peer) => {
                self.answered.insert(asker, peer.clone());
                self.forgets.push_back((now + ANSWERED, asker));
                Answer::Found(peer)
            }
            None => Answer::Waits,
        }
    }

    /// Changes the offers of a key that still hold.
    fn change(&mut self, key: Key, now: Instant, change: impl FnOnce(&mut Vec<Entered>)) {
        let offers = self.offers.entry(key).or_default();
        offers.retain(|entered| entered.until > now);
        change(offers);
        if offers.is_empty() {
            self.offers.remove(&key);
        }
    }
}

/// Behind those that arrived before.
fn enter(offers: &mut Vec<Entered>, entered: Entered) {
    let place = offers.partition_point(|before| before.arrived <= entered.arrived);
    offers.insert(place, entered);
}

// ===== impl Entered =====

impl Entered {
    fn new(offer: Offer, now: Instant) -> Self {
        Self {
            until: now + offer.lease,
            arrived: now.checked_sub(offer.waited.unwrap_or_default()),
            offer,
        }
    }
}
