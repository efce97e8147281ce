use std::sync::Arc;

use couplet_endpoint::Side;
use couplet_pairing::{Pair, Scope, Session};

use super::{ByteRate, addresses::Addresses, bucket::Bucket, share::Share};
use crate::mapped::{MapRequest, mapped_layer};

/// Bounds the bytes per second. See the [module](super).
#[derive(Clone, Debug)]
pub struct BandwidthLayer {
    of: Of,
    only: Option<Side>,
}

/// The pairs whose bytes are counted together.
#[derive(Clone, Debug)]
enum Of {
    Pair(ByteRate),
    Address(Side, Arc<Addresses>),
    All(Arc<Bucket>),
}

// ===== impl BandwidthLayer =====

impl BandwidthLayer {
    /// Bounds each pair.
    pub const fn per_pair(rate: ByteRate) -> Self {
        Self::new(Of::Pair(rate))
    }

    /// Bounds all pairs together that have the same peer on this side.
    ///
    /// A peer is an IPv4 address or an IPv6 /64 network. Peers without an address, such as those of
    /// Unix sockets, count as one. Clones of the layer count together.
    pub fn per_address(side: Side, rate: ByteRate) -> Self {
        Self::new(Of::Address(side, Arc::new(Addresses::new(rate))))
    }

    /// Bounds all pairs together, of this layer and of its clones, also in other stacks.
    pub fn shared(rate: ByteRate) -> Self {
        let scope = Scope::All(Bucket::number());
        Self::new(Of::All(Arc::new(Bucket::new(rate, scope))))
    }

    const fn new(of: Of) -> Self {
        Self { of, only: None }
    }

    /// Bounds the bytes from this side alone: with [`Side::A`], the direction A to B.
    #[must_use]
    pub const fn only(mut self, from: Side) -> Self {
        self.only = Some(from);
        self
    }

    fn share(&self, session: &Session) -> Share {
        let bucket = match &self.of {
            Of::Pair(rate) => Arc::new(Bucket::new(*rate, Scope::Pair)),
            Of::Address(side, addresses) => addresses.bucket(session.info(*side).peer_network()),
            Of::All(bucket) => Arc::clone(bucket),
        };
        Share::new(bucket, self.only)
    }
}

mapped_layer!(BandwidthLayer);

impl<A, B> MapRequest<Pair<A, B>> for BandwidthLayer {
    type Request = Pair<A, B>;

    fn map_request(&self, mut pair: Pair<A, B>) -> Pair<A, B> {
        let share = self.share(&pair.session);
        pair.session.limit(share);
        pair
    }
}
