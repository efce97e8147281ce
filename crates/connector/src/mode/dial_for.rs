//! Modes that dial a partner for each connection of the other side.

use couplet_endpoint::{Backoff, Endpoint, Info, LocalAddr, Side, once, repeat};
use futures::stream::BoxStream;

use super::{Pairing, Starts};
use crate::{
    BoxPair,
    assembly::Assembly,
    incoming::Incoming,
    slot::Slot,
    stack::{Dials, SideStack},
};

/// Accepts clients on side A, and dials side B for each: made by
/// [`listen_dial`](crate::Connector::listen_dial).
#[derive(Debug)]
pub struct DialForA<D> {
    a: Incoming,
    b: D,
}

/// Accepts clients on side B, and dials side A for each: made by
/// [`dial_listen`](crate::Connector::dial_listen).
#[derive(Debug)]
pub struct DialForB<D> {
    a: D,
    b: Incoming,
}

/// Dials side A and then side B, one pair after the other: made by
/// [`dial_dial`](crate::Connector::dial_dial).
#[derive(derive_more::Debug)]
pub struct InTurn<D> {
    #[debug(skip)]
    a: Box<dyn FnOnce(Option<Backoff>) -> Incoming + Send>,
    b: D,
    backoff: Option<Backoff>,
}

// ===== impl DialForA =====

impl<D> DialForA<D> {
    pub(crate) fn new(a: impl Endpoint, b: D) -> Self {
        Self {
            a: Incoming::new(a),
            b,
        }
    }
}

impl<D, A, B> Starts<A, B> for DialForA<D>
where
    D: Dials<Info>,
    A: SideStack,
    B: SideStack + Clone,
{
    fn pairing(&self) -> Pairing {
        Pairing::DialFor(Side::B)
    }

    fn local_addrs(&self) -> [Option<LocalAddr>; 2] {
        [self.a.local_addr.clone(), None]
    }

    fn start(
        self,
        a: impl FnOnce(Slot) -> A,
        b: impl FnOnce(Slot) -> B,
        assembly: &Assembly,
    ) -> BoxStream<'static, BoxPair> {
        let (slot, pairs) = assembly.dial_for_a(self.b, b);
        assembly.serve_side(Side::A, self.a, a(slot));
        pairs
    }
}

// ===== impl DialForB =====

impl<D> DialForB<D> {
    pub(crate) fn new(a: D, b: impl Endpoint) -> Self {
        Self {
            a,
            b: Incoming::new(b),
        }
    }

    /// Side A, dialled at the start, and side B.
    pub(super) fn into_sides(self) -> [Incoming; 2]
    where
        D: Dials<()>,
    {
        [dialled_once(self.a), self.b]
    }
}

impl<D, A, B> Starts<A, B> for DialForB<D>
where
    D: Dials<Info>,
    A: SideStack + Clone,
    B: SideStack,
{
    fn pairing(&self) -> Pairing {
        Pairing::DialFor(Side::A)
    }

    fn local_addrs(&self) -> [Option<LocalAddr>; 2] {
        [None, self.b.local_addr.clone()]
    }

    fn start(
        self,
        a: impl FnOnce(Slot) -> A,
        b: impl FnOnce(Slot) -> B,
        assembly: &Assembly,
    ) -> BoxStream<'static, BoxPair> {
        let (slot, pairs) = assembly.dial_for_b(self.a, a);
        assembly.serve_side(Side::B, self.b, b(slot));
        pairs
    }
}

// ===== impl InTurn =====

impl<D> InTurn<D> {
    pub(crate) fn new(a: impl Dials<()>, b: D) -> Self {
        Self {
            a: Box::new(|backoff| match backoff {
                Some(backoff) => Incoming::dialled(repeat(a, backoff)),
                None => dialled_once(a),
            }),
            b,
            backoff: None,
        }
    }

    pub(super) fn set_backoff(&mut self, backoff: Backoff) {
        self.backoff = Some(backoff);
    }
}

impl<D, A, B> Starts<A, B> for InTurn<D>
where
    D: Dials<Info>,
    A: SideStack,
    B: SideStack + Clone,
{
    fn pairing(&self) -> Pairing {
        Pairing::DialFor(Side::B)
    }

    fn local_addrs(&self) -> [Option<LocalAddr>; 2] {
        [None, None]
    }

    fn start(
        self,
        a: impl FnOnce(Slot) -> A,
        b: impl FnOnce(Slot) -> B,
        assembly: &Assembly,
    ) -> BoxStream<'static, BoxPair> {
        let (slot, pairs) = assembly.dial_for_a(self.b, b);
        assembly.serve_in_turn(Side::A, (self.a)(self.backoff), a(slot));
        pairs
    }
}

fn dialled_once<D: Dials<()>>(dial: D) -> Incoming {
    Incoming::dialled(once::<D, D::Io>(dial))
}
