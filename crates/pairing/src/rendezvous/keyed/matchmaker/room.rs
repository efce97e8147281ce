//! Room for a newcomer at the bounds: of its key, and of all keys.

use std::hash::Hash;

use couplet_endpoint::Io;

use super::{
    super::{
        Third, WhenFull,
        index::{Rank, Tag},
    },
    Matchmaker,
};
use crate::{FairShare, PeerNetwork, Refusal};

/// Whether a newcomer may wait when the bound is reached.
enum Room {
    /// This connection gives way, for this reason.
    Of(u64, Refusal),
    /// The newcomer is refused.
    None(Refusal),
    /// A waiting connection was found to be gone: decide again.
    Again,
}

impl<I, K, S> Matchmaker<I, K, S>
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    /// Makes room for a newcomer, or refuses it.
    pub(super) fn make_room_for(&mut self, tag: &Tag<K, S>) -> Result<(), Refusal> {
        let is_taken = || {
            self.joined.contains(&tag.key)
                || self.index.is_coupled(&tag.key)
                || self.asked.values().any(|key| *key == tag.key)
        };
        if self.keyed.third == Third::Refuse && is_taken() {
            return Err(Refusal::Duplicate);
        }
        // Connections that find a partner are bounded by the slots.
        while !self.index.has_partner_for(tag) {
            let room = if self.index.alone_with(&tag.key).len() >= self.keyed.per_key {
                self.room_of_key(tag)
            } else if self.index.alone() >= self.max_waiting {
                self.room_of_all(tag.network)
            } else {
                return Ok(());
            };
            match room {
                Room::Of(number, refusal) => self.refuse(number, refusal),
                Room::None(refusal) => return Err(refusal),
                Room::Again => {}
            }
        }
        Ok(())
    }

    /// Room for a newcomer where the bound of its key is reached.
    fn room_of_key(&mut self, tag: &Tag<K, S>) -> Room {
        let first = self.index.alone_with(&tag.key).first().copied();
        let when_full = self.keyed.key_full;
        self.room(
            first,
            when_full,
            Refusal::Duplicate,
            Refusal::Replaced,
            |this| {
                let mut shares = FairShare::new();
                for &Rank { number, .. } in this.index.alone_with(&tag.key) {
                    if let Some(waiting) = this.waiting.get(number) {
                        shares.enter(waiting.tag.network, number);
                    }
                }
                shares.gives_way_to(tag.network)
            },
        )
    }

    /// Room for a newcomer where the bound of all keys is reached.
    fn room_of_all(&mut self, network: PeerNetwork) -> Room {
        let (first, when_full) = (self.index.first_alone(), self.keyed.full);
        self.room(first, when_full, Refusal::Full, Refusal::Evicted, |this| {
            this.index.beyond_fair_share(network)
        })
    }

    /// The connection that gives way: first one whose peer has ended its stream, and may be gone; then one
    /// beyond the fair share of its address; then as the rule says.
    fn room(
        &mut self,
        first: Option<Rank>,
        when_full: WhenFull,
        full: Refusal,
        evicted: Refusal,
        beyond_fair_share: impl FnOnce(&Self) -> Option<u64>,
    ) -> Room {
        let Some(first) = first else {
            return Room::None(full);
        };
        // A dead connection takes no room, even if its end was not noticed yet.
        if let Some(change) = self.waiting.look_at(first.number) {
            self.changed(change);
            return Room::Again;
        }
        if !first.is_open {
            return Room::Of(first.number, evicted);
        }
        match (beyond_fair_share(self), when_full) {
            (Some(number), _) => Room::Of(number, evicted),
            (None, WhenFull::Evict) => Room::Of(first.number, evicted),
            (None, WhenFull::Refuse) => Room::None(full),
        }
    }
}
