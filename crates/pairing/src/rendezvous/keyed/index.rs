//! The index of waiting connections by key: numbers only, no connections.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    hash::Hash,
};

use tokio::time::Instant;

use super::switchboard::Notifier;
use crate::{FairShare, PeerNetwork};

/// The waiting connections by key. Any two that can be joined are a couple: so those of one key
/// that are alone are all on one side, or there is only one.
///
/// A newcomer becomes the partner of the connection that was heard of last, because the older the
/// last sign of life, the likelier the peer has vanished without a word; an open one goes before
/// one whose peer has ended its stream, which may have closed it for good.
///
/// Each step takes time by the logarithm of how many connections wait.
#[derive(Debug)]
pub(super) struct Index<K, S> {
    keys: HashMap<K, OfKey<S>>,
    /// All connections without a partner.
    alone: BTreeMap<Rank, PeerNetwork>,
    shares: FairShare,
    /// The couples in the order in which they were found.
    couples: BTreeMap<u64, Couple<K, S>>,
    coupled: HashMap<u64, u64>,
    next_couple: u64,
    /// Where partners may come from elsewhere.
    notifier: Option<Box<Notifier<K, S>>>,
}

/// The connections of one key; never empty.
#[derive(Debug)]
struct OfKey<S> {
    /// The side of the connections without a partner.
    side: Option<S>,
    alone: BTreeSet<Rank>,
    couples: usize,
}

/// The place of a connection in line: the first gives way first, the last is joined first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The peer may still send.
    pub(super) is_open: bool,
    pub(super) number: u64,
}

/// The key, side and network of a connection.
#[derive(Clone, Debug)]
pub(super) struct Tag<K, S> {
    pub(super) key: K,
    pub(super) side: Option<S>,
    pub(super) network: PeerNetwork,
}

#[derive(Debug)]
struct Couple<K, S> {
    key: K,
    two: [Half<S>; 2],
}

#[derive(Clone, Debug)]
struct Half<S> {
    rank: Rank,
    side: Option<S>,
    network: PeerNetwork,
}

// ===== impl Index =====

impl<K, S> Index<K, S> {
    pub(super) fn new(notifier: Option<Notifier<K, S>>) -> Self {
        Self {
            keys: HashMap::new(),
            alone: BTreeMap::new(),
            shares: FairShare::new(),
            couples: BTreeMap::new(),
            coupled: HashMap::new(),
            next_couple: 0,
            notifier: notifier.map(Box::new),
        }
    }

    /// How often this connection, which waits alone, was given back; `None` for one that does not, and
    /// where no partners come from elsewhere.
    pub(super) fn returned(&self, number: u64) -> Option<u32> {
        self.notifier.as_ref()?.returned(number)
    }

    /// The connection that is entered now was taken and given back this often, and has waited since then.
    pub(super) fn is_returned(&mut self, returned: Option<(u32, Instant)>) {
        if let Some(notifier) = &mut self.notifier {
            notifier.returned = returned;
        }
    }

    /// The number of keys.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The number of connections without a partner.
    pub(super) fn alone(&self) -> usize {
        self.alone.len()
    }

    /// The first to give way of the connections without a partner.
    pub(super) fn first_alone(&self) -> Option<Rank> {
        self.alone.first_key_value().map(|(rank, _)| *rank)
    }

    /// A connection without a partner that is beyond the fair share of its network, compared with a
    /// newcomer.
    pub(super) fn beyond_fair_share(&self, newcomer: PeerNetwork) -> Option<u64> {
        self.shares.gives_way_to(newcomer)
    }

    pub(super) fn has_couples(&self) -> bool {
        !self.couples.is_empty()
    }
}

impl<K: Eq + Hash + Clone, S: Eq + Clone> Index<K, S> {
    /// Whether there is a partner for this connection.
    pub(super) fn has_partner_for(&self, tag: &Tag<K, S>) -> bool {
        self.keys
            .get(&tag.key)
            .is_some_and(|of| of.meets(&tag.side))
    }

    /// The connections of this key without a partner, the first to give way first.
    pub(super) fn alone_with(&self, key: &K) -> &BTreeSet<Rank> {
        const NONE: &BTreeSet<Rank> = &BTreeSet::new();
        self.keys.get(key).map_or(NONE, |of| &of.alone)
    }

    /// Whether two connections with this key are about to be joined.
    pub(super) fn is_coupled(&self, key: &K) -> bool {
        self.keys.get(key).is_some_and(|of| of.couples > 0)
    }

    /// Enters a connection: together with a partner, or alone. Returns how many of its key are alone then,
    /// it among them; `None` where it has a partner.
    pub(super) fn enter(
        &mut self,
        rank: Rank,
        Tag { key, side, network }: Tag<K, S>,
    ) -> Option<usize> {
        let half = Half {
            rank,
            side,
            network,
        };
        self.enter_half(key, half)
    }

    fn enter_half(&mut self, key: K, newcomer: Half<S>) -> Option<usize> {
        let of = self.keys.entry(key.clone()).or_insert_with(|| OfKey {
            side: None,
            alone: BTreeSet::new(),
            couples: 0,
        });
        let Some(partner) = of.partner_for(&newcomer.side) else {
            if let Some(notifier) = &mut self.notifier {
                notifier.alone(newcomer.rank.number, key, newcomer.side.clone());
            }
            of.side = newcomer.side;
            of.alone.insert(newcomer.rank);
            let with_key = of.alone.len();
            self.alone.insert(newcomer.rank, newcomer.network);
            self.shares.enter(newcomer.network, newcomer.rank.number);
            return Some(with_key);
        };
        of.couples += 1;
        let partner = Half {
            rank: partner,
            side: of.side.clone(),
            network: self.no_longer_alone(partner).unwrap_or_default(),
        };
        let mut two = [partner, newcomer];
        // A connection that lost a partner and found another may be the older of the two.
        two.sort_unstable_by_key(|half| half.rank.number);
        for half in &two {
            self.coupled.insert(half.rank.number, self.next_couple);
        }
        self.couples.insert(self.next_couple, Couple { key, two });
        self.next_couple += 1;
        None
    }

    /// The peer of this connection has ended its stream.
    pub(super) fn ended(&mut self, number: u64, key: &K) {
        let (open, ended) = (Rank::open(number), Rank::ended(number));
        if let Some(network) = self.alone.remove(&open) {
            self.alone.insert(ended, network);
            self.with(key, |of| {
                of.alone.remove(&open);
                of.alone.insert(ended);
            });
        } else if let Some(couple) = self.coupled.get(&number)
            && let Some(couple) = self.couples.get_mut(couple)
        {
            for half in &mut couple.two {
                half.rank.is_open &= half.rank.number != number;
            }
        }
    }

    /// Forgets a connection that has left. Its partner, if it had one, looks for another.
    pub(super) fn leave(&mut self, number: u64, key: &K) {
        let ranks = [Rank::open(number), Rank::ended(number)];
        if ranks
            .into_iter()
            .any(|rank| self.no_longer_alone(rank).is_some())
        {
            self.with(key, |of| of.alone.retain(|rank| rank.number != number));
        } else if let Some(couple) = self.coupled.get(&number)
            && let Some(couple) = self.couples.remove(couple)
        {
            let (key, two) = self.part(couple);
            for half in two {
                if half.rank.number != number {
                    self.enter_half(key.clone(), half);
                }
            }
        }
    }

    /// Takes out the couple that was found first, the older connection first.
    pub(super) fn next_couple(&mut self) -> Option<[u64; 2]> {
        let (_, couple) = self.couples.pop_first()?;
        let (_, two) = self.part(couple);
        Some(two.map(|half| half.rank.number))
    }

    fn no_longer_alone(&mut self, rank: Rank) -> Option<PeerNetwork> {
        let network = self.alone.remove(&rank)?;
        self.shares.leave(network, rank.number);
        if let Some(notifier) = &mut self.notifier {
            notifier.no_longer_alone(rank.number);
        }
        Some(network)
    }

    fn part(&mut self, Couple { key, two }: Couple<K, S>) -> (K, [Half<S>; 2]) {
        for half in &two {
            self.coupled.remove(&half.rank.number);
        }
        self.with(&key, |of| of.couples -= 1);
        (key, two)
    }

    fn with(&mut self, key: &K, change: impl FnOnce(&mut OfKey<S>)) {
        if let Entry::Occupied(mut of) = self.keys.entry(key.clone()) {
            change(of.get_mut());
            if of.get().alone.is_empty() && of.get().couples == 0 {
                of.remove();
            }
        }
    }
}

// ===== impl OfKey =====

impl<S: Eq> OfKey<S> {
    /// Whether a connection of this side can be joined with one without a partner.
    fn meets(&self, side: &Option<S>) -> bool {
        !self.alone.is_empty()
            && match (&self.side, side) {
                (Some(here), Some(side)) => here != side,
                _ => true,
            }
    }

    fn partner_for(&mut self, side: &Option<S>) -> Option<Rank> {
        match self.meets(side) {
            true => self.alone.pop_last(),
            false => None,
        }
    }
}

// ===== impl Rank =====

impl Rank {
    const fn open(number: u64) -> Self {
        Self {
            is_open: true,
            number,
        }
    }

    const fn ended(number: u64) -> Self {
        Self {
            is_open: false,
            number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(index: &mut Index<u8, char>, number: u64, key: u8, side: char) {
        let tag = Tag {
            key,
            side: Some(side),
            network: PeerNetwork::of(None),
        };
        index.enter(Rank::open(number), tag);
    }

    #[test]
    fn nothing_is_kept_of_connections_that_left_or_were_taken() {
        let mut index = Index::new(None);
        enter(&mut index, 0, 1, 'a');
        enter(&mut index, 1, 1, 'a');
        enter(&mut index, 2, 1, 'b');
        enter(&mut index, 3, 2, 'a');
        enter(&mut index, 4, 3, 'a');
        enter(&mut index, 5, 3, 'b');
        // Its partner finds another.
        index.leave(1, &1);
        index.ended(3, &2);
        assert_eq!(index.next_couple(), Some([4, 5]));
        assert_eq!(index.next_couple(), Some([0, 2]));
        index.leave(3, &2);
        assert_eq!(index.next_couple(), None);
        let Index {
            keys,
            alone,
            shares,
            couples,
            coupled,
            ..
        } = index;
        assert!(keys.is_empty() && alone.is_empty() && shares.is_empty());
        assert!(couples.is_empty() && coupled.is_empty());
    }

    #[test]
    fn the_connection_heard_of_last_is_joined_first_and_an_ended_one_last() {
        let mut index = Index::new(None);
        for number in 0..4 {
            enter(&mut index, number, 1, 'a');
        }
        index.ended(3, &1);
        assert_eq!(index.first_alone(), Some(Rank::ended(3)));
        let mut partners = Vec::new();
        for number in 4..8 {
            enter(&mut index, number, 1, 'b');
            partners.extend(index.next_couple());
        }
        assert_eq!(partners, [[2, 4], [1, 5], [0, 6], [3, 7]]);
    }
}
