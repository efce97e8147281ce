//! Fair shares of a bounded number of slots, by the address of the peer.

use std::collections::{BTreeSet, HashMap};

use crate::conn::PeerNetwork;

/// Counts the slots that each network holds, and chooses the connection that gives way when all are
/// taken.
///
/// While slots are free, every peer gets one. When all are taken, the network with most slots gives its
/// oldest to a peer of a network with fewer. So one address can't keep others out, however many
/// connections it opens, and may use all slots that no other needs.
///
/// The caller numbers the connections in the order in which they come. All methods take logarithmic time;
/// memory is some 200 bytes a network and 8 to 16 a connection.
///
/// ```
/// use couplet_endpoint::{FairShare, PeerNetwork};
///
/// let [many, few] = ["192.0.2.1", "192.0.2.2"].map(|ip| PeerNetwork::of(ip.parse().ok()));
/// let mut places = FairShare::new();
/// for number in 0..3 {
///     places.enter(many, number);
/// }
/// assert_eq!(places.gives_way_to(few), Some(0));
/// assert_eq!(places.gives_way_to(many), None);
/// ```
#[derive(Debug, Default)]
pub struct FairShare {
    held: HashMap<PeerNetwork, BTreeSet<u64>>,
    /// The number of slots of each network; the last network has most.
    shares: BTreeSet<(usize, PeerNetwork)>,
}

// ===== impl FairShare =====

impl FairShare {
    /// No slot is taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection of this network takes a slot. Its number must be greater than all before.
    pub fn enter(&mut self, network: PeerNetwork, number: u64) {
        let held = self.held.entry(network).or_default();
        let before = held.len();
        if held.insert(number) {
            self.shares.remove(&(before, network));
            self.shares.insert((before + 1, network));
        }
    }

    /// The connection with this number frees its slot. Without effect where it holds none.
    pub fn leave(&mut self, network: PeerNetwork, number: u64) {
        let Some(held) = self.held.get_mut(&network) else {
            return;
        };
        let before = held.len();
        if held.remove(&number) {
            self.shares.remove(&(before, network));
            match before {
                1 => drop(self.held.remove(&network)),
                _ => drop(self.shares.insert((before - 1, network))),
            }
        }
    }

    /// The number of slots that this network holds.
    pub fn held_by(&self, network: PeerNetwork) -> usize {
        self.held.get(&network).map_or(0, BTreeSet::len)
    }

    /// Whether no slot is taken.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.shares.is_empty()
    }

    /// The connection that gives way to a newcomer of this network when all slots are taken: the oldest
    /// of the network with most. `None` where the newcomer's network would then hold more than that one.
    pub fn gives_way_to(&self, newcomer: PeerNetwork) -> Option<u64> {
        let &(most, network) = self.shares.last()?;
        if self.held_by(newcomer) + 1 >= most {
            return None;
        }
        self.oldest_of(network)
    }

    /// The oldest connection of this network.
    pub fn oldest_of(&self, network: PeerNetwork) -> Option<u64> {
        self.held.get(&network)?.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: &str) -> PeerNetwork {
        PeerNetwork::of(Some(ip.parse().expect("an address")))
    }

    #[test]
    fn the_largest_gives_its_oldest_until_all_are_equal() {
        let [many, few] = ["192.0.2.1", "2001:db8::1"].map(network);
        let mut places = FairShare::new();
        for number in 0..6 {
            places.enter(many, number);
        }
        let mut gave = Vec::new();
        for number in 6..12 {
            let Some(oldest) = places.gives_way_to(few) else {
                break;
            };
            gave.push(oldest);
            places.leave(many, oldest);
            places.enter(few, number);
        }
        assert_eq!(gave, [0, 1, 2]);
        assert_eq!([many, few].map(|network| places.held_by(network)), [3, 3]);
        assert_eq!(places.gives_way_to(many), None);
    }

    #[test]
    fn nothing_is_kept_of_connections_that_left() {
        let one = network("192.0.2.1");
        let mut places = FairShare::new();
        assert_eq!(places.gives_way_to(one), None);
        places.enter(one, 1);
        places.enter(one, 2);
        places.leave(one, 7);
        places.leave(one, 1);
        assert_eq!(places.oldest_of(one), Some(2));
        places.leave(one, 2);
        places.leave(one, 2);
        assert!(places.is_empty());
    }
}
