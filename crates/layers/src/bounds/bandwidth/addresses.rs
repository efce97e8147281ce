use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use couplet_pairing::Scope;

use super::{ByteRate, bucket::Bucket};

/// The number of buckets below which none is swept.
const FEW: usize = 64;

/// A bucket for each address.
#[derive(Debug)]
pub(super) struct Addresses {
    rate: ByteRate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Peers without an address share one bucket.
    buckets: HashMap<Option<IpAddr>, Arc<Bucket>>,
    /// At this number of buckets, full ones are forgotten.
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
            // A bucket that is not full is kept, so that reconnecting gives no new burst.
            let State { buckets, sweep_at } = &mut *state;
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full());
            *sweep_at = FEW.max(2 * buckets.len());
        }
        let bucket = state.buckets.entry(peer.map(client)).or_insert_with(|| {
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

/// The client of an address: with IPv6 the /64 network of a site, which has 2^64 addresses.
fn client(peer: SocketAddr) -> IpAddr {
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
            assert_eq!(client(peer.parse().unwrap()), is, "{peer}");
        }
    }
}
