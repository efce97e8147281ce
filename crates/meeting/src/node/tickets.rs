use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use couplet_connector::{endpoint::Side, pairing::Place};

use crate::engine::{Key, Offer, Ticket};

/// The connections of this node that are offered, by their tickets. A ticket is taken once.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<HashMap<Ticket, (Place, Offer)>>);

/// An offered connection; its drop takes the ticket away.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    tickets: &'a Tickets,
    ticket: Ticket,
}

// ===== impl Tickets =====

impl Tickets {
    pub(super) fn list(&self, offer: &Offer, place: Place) -> Listed<'_> {
        self.with(|tickets| tickets.insert(offer.ticket, (place, offer.clone())));
        Listed {
            tickets: self,
            ticket: offer.ticket,
        }
    }

    /// The connection of a ticket, for the first that asks with its key, for a client of a side that it meets.
    pub(super) fn take(&self, ticket: &Ticket, key: &Key, side: Option<Side>) -> Option<Place> {
        self.with(|tickets| {
            let (place, offer) = tickets.get(ticket)?;
            let place = (offer.key == *key && offer.meets(side)).then_some(*place)?;
            tickets.remove(ticket);
            Some(place)
        })
    }

    /// The connection that came first of those that this one of the same node meets. Takes the tickets of both, so
    /// that no other gets either.
    pub(super) fn take_first_for(&self, offer: &Offer) -> Option<Place> {
        self.with(|tickets| {
            if !tickets.contains_key(&offer.ticket) {
                return None;
            }
            let meets = |(ticket, (_, other)): &(&Ticket, &(Place, Offer))| {
                **ticket != offer.ticket && other.key == offer.key && other.meets(offer.side)
            };
            let partners = tickets.iter().filter(meets);
            // Places are numbered as they are taken.
            let (ticket, (place, _)) = partners.min_by_key(|(_, (place, _))| *place)?;
            let (ticket, place) = (*ticket, *place);
            tickets.remove(&ticket);
            tickets.remove(&offer.ticket);
            Some(place)
        })
    }

    /// Whether the connection of a ticket is there for a client of this key and side.
    pub(super) fn has(&self, ticket: &Ticket, key: &Key, side: Option<Side>) -> bool {
        self.with(|tickets| {
            let listed = tickets.get(ticket);
            listed.is_some_and(|(_, offer)| offer.key == *key && offer.meets(side))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.with(|tickets| tickets.len())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Ticket, (Place, Offer)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// ===== impl Listed =====

impl Listed<'_> {
    /// Whether no other node has come for the connection.
    pub(super) fn is_untaken(&self) -> bool {
        self.tickets
            .with(|tickets| tickets.contains_key(&self.ticket))
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.tickets.with(|tickets| tickets.remove(&self.ticket));
    }
}
