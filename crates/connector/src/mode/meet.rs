//! Modes in which both sides accept clients, or keep a pool.

use std::hash::Hash;

use couplet_endpoint::{BoxIo, Endpoint, LocalAddr, Replay, Side};
use couplet_pairing::{
    Attachment, Keyed, Pairs, Policy, WaitSlot, rendezvous, rendezvous_keyed, rendezvous_keyed_with,
};
use futures::stream::BoxStream;

use super::{Pairing, Starts};
use crate::{BoxPair, assembly::Assembly, incoming::Incoming, slot::Slot, stack::SideStack};

/// Accepts clients on both sides: made by [`listen_listen`](crate::Connector::listen_listen), and by
/// [`dial_listen`](crate::Connector::dial_listen) for one pair.
#[derive(Debug)]
pub struct Meet {
    a: Incoming,
    b: Incoming,
    by_key: Option<ByKey>,
}

/// Accepts all clients on one endpoint, and joins those with the same key: made by
/// [`keyed`](crate::Connector::keyed).
#[derive(Debug)]
pub struct MeetByKey {
    incoming: Incoming,
    by_key: ByKey,
}

/// A rendezvous by key, with the types of key and side erased.
#[derive(derive_more::Debug)]
#[debug("ByKey")]
pub(crate) struct ByKey(Box<dyn FnOnce(Policy) -> (WaitSlot<BoxIo>, Replayed) + Send>);

type Replayed = Pairs<Replay<BoxIo>, Replay<BoxIo>>;

// ===== impl Meet =====

impl Meet {
    pub(crate) fn new(a: impl Endpoint, b: impl Endpoint) -> Self {
        Self::of([Incoming::new(a), Incoming::new(b)])
    }

    pub(super) fn of([a, b]: [Incoming; 2]) -> Self {
        Self { a, b, by_key: None }
    }

    pub(crate) fn by_key(self, by_key: ByKey) -> Self {
        Self {
            by_key: Some(by_key),
            ..self
        }
    }
}

impl<A: SideStack, B: SideStack> Starts<A, B> for Meet {
    fn pairing(&self) -> Pairing {
        match self.by_key {
            None => Pairing::Rendezvous,
            Some(_) => Pairing::Keyed,
        }
    }

    fn local_addrs(&self) -> [Option<LocalAddr>; 2] {
        [&self.a, &self.b].map(|side| side.local_addr.clone())
    }

    fn start(
        self,
        a: impl FnOnce(Slot) -> A,
        b: impl FnOnce(Slot) -> B,
        assembly: &Assembly,
    ) -> BoxStream<'static, BoxPair> {
        let is_keyed = self.by_key.is_some();
        let (place_a, place_b, pairs) = match self.by_key {
            None => rendezvous(assembly.policy()),
            Some(ByKey(meet)) => {
                let (place, pairs) = meet(assembly.policy());
                (place.clone(), place, pairs)
            }
        };
        let slots = match is_keyed {
            true => vec![place_a.clone()],
            false => vec![place_a.clone(), place_b.clone()],
        };
        assembly.lifecycle.wait_at(is_keyed, slots);
        assembly.serve_side(Side::A, self.a, a(Slot::wait(place_a)));
        assembly.serve_side(Side::B, self.b, b(Slot::wait(place_b)));
        assembly.joined(pairs)
    }
}

// ===== impl MeetByKey =====

impl MeetByKey {
    pub(crate) fn new(endpoint: impl Endpoint, by_key: ByKey) -> Self {
        Self {
            incoming: Incoming::new(endpoint),
            by_key,
        }
    }
}

impl<A: SideStack, B> Starts<A, B> for MeetByKey {
    fn pairing(&self) -> Pairing {
        Pairing::Keyed
    }

    fn local_addrs(&self) -> [Option<LocalAddr>; 2] {
        [self.incoming.local_addr.clone(), None]
    }

    fn start(
        self,
        a: impl FnOnce(Slot) -> A,
        _: impl FnOnce(Slot) -> B,
        assembly: &Assembly,
    ) -> BoxStream<'static, BoxPair> {
        let (place, pairs) = (self.by_key.0)(assembly.policy());
        assembly.lifecycle.wait_at(true, vec![place.clone()]);
        assembly.serve_all(self.incoming, a(Slot::wait(place)));
        assembly.joined(pairs)
    }
}

// ===== impl ByKey =====

impl ByKey {
    /// With partners from elsewhere, if there is an attachment.
    pub(crate) fn new<K, S>(keyed: Keyed<K, S>, attachment: Option<Attachment<BoxIo, K, S>>) -> Self
    where
        K: Eq + Hash + Clone + Send + 'static,
        S: Eq + Clone + Send + 'static,
    {
        Self(Box::new(|policy| match attachment {
            None => rendezvous_keyed(policy, keyed),
            Some(attachment) => rendezvous_keyed_with(policy, keyed, attachment),
        }))
    }
}
