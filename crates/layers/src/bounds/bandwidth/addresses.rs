use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use couplet_pairing::Scope;

use super::{ByteRate, bucket::Bucket};

/// Fewer are not worth sweeping.
const FEW: usize = 64;

/// A bucket for each address.
#[derive(Debug)]
pub(super) struct Addresses {
    rate: ByteRate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those without an address share one.
    buckets: HashMap<Option<IpAddr>, Arc<Bucket>>,
    /// When there are so many, those that are as good as new are forgotten.
    sweep_at: usize,
}

// ===== impl Addresses =====

impl Addresses {
    pub(super) fn new(rate: ByteRate) -> Self {
        let state = State {
            buckets: HashMap::new(),
            sweep_at: FEW,
        };
        Self {
            rate,
            state: Mutex::new(state),
        }
    }

    pub(super) fn bucket(&self, peer: Option<SocketAddr>) -> Arc<Bucket> {
        let mut state = self.state.lock().expect("no holder panics");
        if state.buckets.len() >= state.sweep_at {
            // One that is not full yet is kept: to come again is no way to a new burst.
            let State { buckets, sweep_at } = &mut *state;
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full());
            *sweep_at = FEW.max(2 * buckets.len());
        }
        let bucket = state.buckets.entry(peer.map(who)).or_insert_with(|| {
            let scope = Scope::Group(Bucket::number());
            Arc::new(Bucket::new(self.rate, scope))
        });
        Arc::clone(bucket)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().unwrap().buckets.len()
    }
}

/// The client behind an address: with IPv6 the network of a site, as each has 2^64 of them.
fn who(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client() {
        for (peer, is) in [
            ("192.0.2.7:1", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:2", "192.0.2.7"),
            ("[2001:db8:1:2:3:4:5:6]:3", "2001:db8:1:2::"),
            ("[2001:db8:1:2::]:4", "2001:db8:1:2::"),
            ("[::1]:5", "::"),
        ] {
            let is: IpAddr = is.parse().unwrap();
            assert_eq!(who(peer.parse().unwrap()), is, "{peer}");
        }
    }
}
