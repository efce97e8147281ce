//! Which target is next.

use std::net::IpAddr;

use twox_hash::XxHash64;

/// How one of several targets is chosen for a client. Only those that are up are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// The first of them, in the order in which they were given.
    #[default]
    Failover,
    /// In turn, each as often as its weight says, and evenly spread.
    RoundRobin,
    /// The one with the fewest live connections for its weight.
    Least,
    /// Of two chosen at random, by their weights, the one with fewer live connections for its weight:
    /// nearly as even as [`Least`](Self::Least), also where several relays know nothing of each other.
    RandomTwo,
    /// By the client's IP address: the same client gets the same target, and of a target that goes down
    /// only its own clients move (rendezvous hashing). At random where the client has no address.
    HashAddr,
}

/// A target that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    /// Its place among all targets.
    pub(super) at: usize,
    pub(super) weight: u32,
    pub(super) live: usize,
}

/// How far the turns are: of each target, by its place.
#[derive(Debug, Default)]
pub(super) struct Turns(Vec<i64>);

// ===== impl Balance =====

impl Balance {
    /// The position of the next among `candidates`, of which there is one at least.
    pub(super) fn choose(
        self,
        candidates: &[Candidate<'_>],
        turns: &mut Turns,
        client: Option<IpAddr>,
    ) -> usize {
        let positions = 0..candidates.len();
        let chosen = match (self, client) {
            (Self::Failover, _) => Some(0),
            (Self::RoundRobin, _) => Some(turns.next(candidates)),
            (Self::Least, _) => {
                // One of equals at random, so that the first of them is not always it.
                let from = fastrand::usize(positions.clone());
                let turned = positions.map(|at| (at + from) % candidates.len());
                turned.reduce(|one, other| less_loaded(candidates, one, other))
            }
            (Self::RandomTwo, _) => {
                let first = at_random(candidates, None);
                let second = at_random(candidates, Some(first));
                Some(less_loaded(candidates, first, second))
            }
            (Self::HashAddr, Some(client)) => {
                let score = |at: &usize| candidates[*at].score(client);
                positions.max_by(|one, other| score(one).total_cmp(&score(other)))
            }
            (Self::HashAddr, None) => Some(at_random(candidates, None)),
        };
        chosen.unwrap_or(0)
    }
}

/// The first of two where they are equal.
fn less_loaded(candidates: &[Candidate<'_>], one: usize, other: usize) -> usize {
    // By the connection that is to come: so an idle target's weight counts.
    let load = |at: usize, by: usize| {
        (candidates[at].live as u64 + 1).saturating_mul(candidates[by].weight.into())
    };
    match load(other, one) < load(one, other) {
        true => other,
        false => one,
    }
}

/// One by its weight; not that one, if there is another.
fn at_random(candidates: &[Candidate<'_>], not: Option<usize>) -> usize {
    let weight = |at: usize| match not == Some(at) {
        true => 0,
        false => u64::from(candidates[at].weight),
    };
    let total: u64 = (0..candidates.len()).map(weight).sum();
    if total == 0 {
        return not.unwrap_or(0);
    }
    let mut left = fastrand::u64(..total);
    let mut positions = 0..candidates.len();
    let chosen = positions.find(|at| match left.checked_sub(weight(*at)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    chosen.unwrap_or(0)
}

// ===== impl Candidate =====

impl Candidate<'_> {
    /// Of weighted rendezvous hashing: each candidate wins its share of the clients, by its weight.
    fn score(&self, client: IpAddr) -> f64 {
        let hash = match client.to_canonical() {
            IpAddr::V4(ip) => XxHash64::oneshot(u64::from(ip.to_bits()), self.name.as_bytes()),
            IpAddr::V6(ip) => {
                // A client has its /64.
                let network = (ip.to_bits() >> 64) as u64;
                XxHash64::oneshot(!network, self.name.as_bytes())
            }
        };
        // Between 0 and 1, both excluded.
        let part = ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        f64::from(self.weight) / -part.ln()
    }
}

// ===== impl Turns =====

impl Turns {
    /// Smooth weighted round robin, as nginx has it: each gains its weight, and the one with most has its
    /// turn and pays for all.
    fn next(&mut self, candidates: &[Candidate<'_>]) -> usize {
        let mut total = 0;
        let mut first = 0;
        for (position, candidate) in candidates.iter().enumerate() {
            if self.0.len() <= candidate.at {
                self.0.resize(candidate.at + 1, 0);
            }
            self.0[candidate.at] += i64::from(candidate.weight);
            total += i64::from(candidate.weight);
            if self.0[candidate.at] > self.0[candidates[first].at] {
                first = position;
            }
        }
        self.0[candidates[first].at] -= total;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["a:1", "b:1", "c:1", "d:1"];

    fn candidates(weights: &[u32], live: &[usize]) -> Vec<Candidate<'static>> {
        let of = |at: usize| Candidate {
            name: NAMES[at],
            at,
            weight: weights[at],
            live: live[at],
        };
        (0..weights.len()).map(of).collect()
    }

    fn chosen(balance: Balance, candidates: &[Candidate<'_>], times: usize) -> Vec<usize> {
        let mut turns = Turns::default();
        let choose = |_| candidates[balance.choose(candidates, &mut turns, None)].at;
        (0..times).map(choose).collect()
    }

    #[test]
    fn failover_takes_the_first_that_is_left() {
        let all = candidates(&[1, 1, 1], &[9, 0, 0]);
        assert_eq!(chosen(Balance::Failover, &all, 3), [0, 0, 0]);
        assert_eq!(chosen(Balance::Failover, &all[1..], 2), [1, 1]);
    }

    #[test]
    fn turns_are_spread_by_weight_and_skip_those_that_are_down() {
        let all = candidates(&[3, 1, 1], &[0, 0, 0]);
        assert_eq!(
            chosen(Balance::RoundRobin, &all, 10),
            [0, 1, 0, 2, 0, 0, 1, 0, 2, 0]
        );
        assert_eq!(chosen(Balance::RoundRobin, &all[1..], 4), [1, 2, 1, 2]);
    }

    #[test]
    fn the_least_loaded_is_that_for_its_weight() {
        let all = candidates(&[2, 1], &[3, 2]);
        assert_eq!(chosen(Balance::Least, &all, 3), [0, 0, 0]);
        let all = candidates(&[2, 1], &[3, 0]);
        assert_eq!(chosen(Balance::Least, &all, 3), [1, 1, 1]);
        let equal = chosen(Balance::Least, &candidates(&[1, 1], &[5, 5]), 200);
        assert!(equal.contains(&0) && equal.contains(&1));
    }

    #[test]
    fn the_more_loaded_of_two_is_never_chosen() {
        let all = candidates(&[1, 1, 1], &[7, 0, 7]);
        let chosen = chosen(Balance::RandomTwo, &all, 300);
        let to_idle = chosen.iter().filter(|at| **at == 1).count();
        // Two thirds of the choices have it in them.
        assert!((120..280).contains(&to_idle), "{to_idle}");
        let two = candidates(&[1, 1], &[1, 0]);
        assert!(
            self::chosen(Balance::RandomTwo, &two, 50)
                .iter()
                .all(|at| *at == 1)
        );
        assert_eq!(self::chosen(Balance::RandomTwo, &two[..1], 2), [0, 0]);
    }

    #[test]
    fn a_client_keeps_its_target_and_only_those_of_a_lost_one_move() {
        let all = candidates(&[1, 1, 2], &[0, 0, 0]);
        let without_last = &all[..2];
        let mut counts = [0; 3];
        for client in 0..4000_u32 {
            let client = Some(IpAddr::from(client.to_be_bytes()));
            let of = |candidates: &[Candidate<'_>]| {
                let position = Balance::HashAddr.choose(candidates, &mut Turns::default(), client);
                candidates[position].at
            };
            let target = of(&all);
            counts[target] += 1;
            assert_eq!(of(&all), target);
            if target != 2 {
                assert_eq!(of(without_last), target);
            }
        }
        assert!((1800..2200).contains(&counts[2]), "{counts:?}");
        assert!((800..1200).contains(&counts[0]), "{counts:?}");
    }
}
