//! The modes: whether each side accepts or dials, and how the connections are paired.
//!
//! A mode is the first type of a [`Connector`](crate::Connector). The constructors make it, and
//! only settings that have an effect in it compile.

mod dial_for;
mod meet;
mod settings;

pub(crate) use self::meet::ByKey;
pub use self::{
    dial_for::{DialForA, DialForB, InTurn},
    meet::{Meet, MeetByKey},
    settings::{HasSideB, ManyPairs, Once, Reconnects, Waits},
};

use couplet_endpoint::{LocalAddr, Side};
use futures::stream::BoxStream;

use crate::{BoxPair, assembly::Assembly, slot::Slot};

/// How the connections of two sides are paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pairing {
    /// Both sides accept, and the oldest connections of each are joined: a
    /// [`rendezvous`](couplet_pairing::rendezvous).
    Rendezvous,
    /// Connections with the same key are joined: a [`rendezvous_keyed`](couplet_pairing::rendezvous_keyed).
    Keyed,
    /// For each connection of the other side, a partner is dialled on this side:
    /// [`dial_for_a`](couplet_pairing::dial_for_a), [`dial_for_b`](couplet_pairing::dial_for_b).
    DialFor(Side),
}

/// Whether the connections of a side come by themselves, or are dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Connections come by themselves: from a listener, or from a pool that dials ahead.
    Comes,
    /// Connections are dialled when they are needed.
    Dialled,
}

/// A mode that starts with side stacks of these types: implemented by every mode.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be started with these side stacks",
    note = "the stack of a side that is dialled for the other is `Clone`"
)]
pub trait Mode<A, B>: sealed::Starts<A, B> {}

// ===== impl Pairing =====

impl Pairing {
    /// The pairing of two such sides without a key, for one pair alone
    /// ([`once`](crate::Connector::once)) or for any number. Each constructor of a
    /// [`Connector`](crate::Connector) uses this pairing.
    pub const fn of(a: Way, b: Way, once: bool) -> Self {
        match (a, b) {
            (Way::Comes, Way::Comes) => Self::Rendezvous,
            // Dialled at the start, so that A waits when the client of B comes.
            (Way::Dialled, Way::Comes) if once => Self::Rendezvous,
            (Way::Dialled, Way::Comes) => Self::DialFor(Side::A),
            (_, Way::Dialled) => Self::DialFor(Side::B),
        }
    }
}

// ===== impl Mode =====

#[diagnostic::do_not_recommend]
impl<M: sealed::Starts<A, B>, A, B> Mode<A, B> for M {}

pub(crate) use sealed::Starts;

mod sealed {
    use super::{Assembly, BoxPair, BoxStream, LocalAddr, Pairing, Slot};

    pub trait Starts<A, B> {
        fn pairing(&self) -> Pairing;

        /// The address on which each side listens.
        fn local_addrs(&self) -> [Option<LocalAddr>; 2];

        /// Spawns the sides' loops, with the stacks that their layers make of a slot, and returns
        /// the pairs.
        fn start(
            self,
            a: impl FnOnce(Slot) -> A,
            b: impl FnOnce(Slot) -> B,
            assembly: &Assembly,
        ) -> BoxStream<'static, BoxPair>;
    }
}
