//! Who has found a partner, and who has not: numbers only, no connections.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    hash::Hash,
};

/// Those who wait, by key. Whoever can have a partner has one: so those of a key that have none
/// are all of one side, or there is but one.
///
/// Nothing here depends on how many wait but the logarithm of it.
#[derive(Debug)]
pub(super) struct Index<K, S> {
    keys: HashMap<K, OfKey<S>>,
    /// All that have no partner, the oldest first.
    alone: BTreeSet<u64>,
    /// Those that have, in the order in which they found each other.
    couples: BTreeMap<u64, Couple<K, S>>,
    coupled: HashMap<u64, u64>,
    next_couple: u64,
}

/// Those of one key; never empty.
#[derive(Debug)]
struct OfKey<S> {
    /// Of those that are alone.
    side: Option<S>,
    alone: BTreeSet<u64>,
    couples: usize,
}

/// What an index has to know of one that waits.
#[derive(Clone, Debug)]
pub(super) struct Tag<K, S> {
    pub(super) key: K,
    pub(super) side: Option<S>,
}

#[derive(Debug)]
struct Couple<K, S> {
    key: K,
    two: [(u64, Option<S>); 2],
}

// ===== impl Index =====

impl<K, S> Index<K, S> {
    pub(super) fn new() -> Self {
        Self {
            keys: HashMap::new(),
            alone: BTreeSet::new(),
            couples: BTreeMap::new(),
            coupled: HashMap::new(),
            next_couple: 0,
        }
    }

    /// How many have no partner.
    pub(super) fn alone(&self) -> usize {
        self.alone.len()
    }

    /// Who has been without a partner longest.
    pub(super) fn oldest_alone(&self) -> Option<u64> {
        self.alone.first().copied()
    }

    pub(super) fn has_couples(&self) -> bool {
        !self.couples.is_empty()
    }
}

impl<K: Eq + Hash + Clone, S: Eq + Clone> Index<K, S> {
    /// Is there a partner for it?
    pub(super) fn has_partner_for(&self, tag: &Tag<K, S>) -> bool {
        self.keys
            .get(&tag.key)
            .is_some_and(|of| of.meets(&tag.side))
    }

    /// How many of this key are without a partner, and the oldest of them.
    pub(super) fn alone_with(&self, key: &K) -> (usize, Option<u64>) {
        self.keys
            .get(key)
            .map_or((0, None), |of| (of.alone.len(), of.alone.first().copied()))
    }

    /// Have two with this key found each other, and not been taken yet?
    pub(super) fn is_coupled(&self, key: &K) -> bool {
        self.keys.get(key).is_some_and(|of| of.couples > 0)
    }

    /// Enters one: together with the oldest it can have as a partner, or alone.
    pub(super) fn enter(&mut self, number: u64, Tag { key, side }: Tag<K, S>) {
        let of = self.keys.entry(key.clone()).or_insert_with(|| OfKey {
            side: None,
            alone: BTreeSet::new(),
            couples: 0,
        });
        if !of.meets(&side) {
            of.side = side;
            of.alone.insert(number);
            self.alone.insert(number);
            return;
        }
        let Some(partner) = of.alone.pop_first() else {
            return; // Whoever meets somebody meets one of those.
        };
        self.alone.remove(&partner);
        of.couples += 1;
        let mut two = [(partner, of.side.clone()), (number, side)];
        // Who lost a partner and found another may be the older.
        two.sort_unstable_by_key(|(number, _)| *number);
        for (number, _) in &two {
            self.coupled.insert(*number, self.next_couple);
        }
        self.couples.insert(self.next_couple, Couple { key, two });
        self.next_couple += 1;
    }

    /// Forgets one that has left. If it had a partner, that one looks for another.
    pub(super) fn leave(&mut self, number: u64, key: &K) {
        if self.alone.remove(&number) {
            self.with(key, |of| {
                of.alone.remove(&number);
            });
        } else if let Some(couple) = self.coupled.get(&number)
            && let Some(couple) = self.couples.remove(couple)
        {
            let (key, two) = self.part(couple);
            for (partner, side) in two {
                if partner != number {
                    let key = key.clone();
                    self.enter(partner, Tag { key, side });
                }
            }
        }
    }

    /// Takes out the two who found each other first, the older first.
    pub(super) fn next_couple(&mut self) -> Option<[u64; 2]> {
        let (_, couple) = self.couples.pop_first()?;
        let (_, two) = self.part(couple);
        Some(two.map(|(number, _)| number))
    }

    fn part(&mut self, Couple { key, two }: Couple<K, S>) -> (K, [(u64, Option<S>); 2]) {
        for (number, _) in &two {
            self.coupled.remove(number);
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
    /// Can one of that side be joined with one of those who are alone?
    fn meets(&self, side: &Option<S>) -> bool {
        !self.alone.is_empty()
            && match (&self.side, side) {
                (Some(here), Some(side)) => here != side,
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(index: &mut Index<u8, char>, number: u64, key: u8, side: char) {
        let side = Some(side);
        index.enter(number, Tag { key, side });
    }

    #[test]
    fn nothing_is_kept_of_those_who_left_or_were_taken() {
        let mut index = Index::new();
        enter(&mut index, 0, 1, 'a');
        enter(&mut index, 1, 1, 'a');
        enter(&mut index, 2, 1, 'b');
        enter(&mut index, 3, 2, 'a');
        enter(&mut index, 4, 3, 'a');
        enter(&mut index, 5, 3, 'b');
        // One that had a partner, who finds another.
        index.leave(0, &1);
        assert_eq!(index.next_couple(), Some([4, 5]));
        assert_eq!(index.next_couple(), Some([1, 2]));
        index.leave(3, &2);
        assert_eq!(index.next_couple(), None);
        let Index {
            keys,
            alone,
            couples,
            coupled,
            ..
        } = index;
        assert!(keys.is_empty() && alone.is_empty());
        assert!(couples.is_empty() && coupled.is_empty());
    }
}
