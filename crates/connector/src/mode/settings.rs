//! The settings that have an effect in each mode.

use couplet_endpoint::Backoff;

use self::sealed::Sealed;
use super::{DialForA, DialForB, InTurn, Meet, MeetByKey};
use crate::stack::Dials;

/// A mode with a stack of its own for side B.
#[diagnostic::on_unimplemented(
    message = "`layer_b` has no effect in the mode `{Self}`",
    note = "all connections come to one endpoint, whose layers are side A's: use `layer_a`"
)]
pub trait HasSideB: Sealed {}

/// A mode in which connections wait for a client of the other side.
#[diagnostic::on_unimplemented(
    message = "connections don't wait for a partner in the mode `{Self}`",
    note = "`wait_timeout` and `read_ahead` have an effect in `listen_listen` and `keyed`; in the other \
            modes a partner is dialled for each connection, and the dial has its own timeout"
)]
pub trait Waits: Sealed {}

/// A mode that joins many pairs side by side.
#[diagnostic::on_unimplemented(
    message = "`max_pairs` has no effect in the mode `{Self}`",
    note = "both sides are dialled, one pair at a time"
)]
pub trait ManyPairs: Sealed {}

/// A mode that can be told to join one pair only.
#[diagnostic::on_unimplemented(
    message = "`once` has no effect in the mode `{Self}`",
    note = "both sides are dialled: one pair is all there is, unless it is to `reconnect`; side A of \
            `dial_listen` is dialled by itself for one pair, so it is a `Service<()>` then"
)]
pub trait Once: sealed::Once {}

/// A mode that can dial both sides again.
#[diagnostic::on_unimplemented(
    message = "`reconnect` has no effect in the mode `{Self}`",
    note = "it is for `dial_dial`; a side that listens, or keeps a pool, goes on by itself"
)]
pub trait Reconnects: sealed::Reconnects {}

// ===== what holds in which mode =====

impl HasSideB for Meet {}
impl<D> HasSideB for DialForA<D> {}
impl<D> HasSideB for DialForB<D> {}
impl<D> HasSideB for InTurn<D> {}

impl Waits for Meet {}
impl Waits for MeetByKey {}

impl ManyPairs for Meet {}
impl ManyPairs for MeetByKey {}
impl<D> ManyPairs for DialForA<D> {}
impl<D> ManyPairs for DialForB<D> {}

impl Once for Meet {}
impl Once for MeetByKey {}
impl<D> Once for DialForA<D> {}
impl<D: Dials<()>> Once for DialForB<D> {}

impl<D> Reconnects for InTurn<D> {}

impl sealed::Once for Meet {
    type Once = Self;

    fn once(self) -> Self {
        self
    }
}

impl sealed::Once for MeetByKey {
    type Once = Self;

    fn once(self) -> Self {
        self
    }
}

impl<D> sealed::Once for DialForA<D> {
    type Once = Self;

    fn once(self) -> Self {
        self
    }
}

/// Side A is dialled at the start, so that it waits when the client of B comes.
impl<D: Dials<()>> sealed::Once for DialForB<D> {
    type Once = Meet;

    fn once(self) -> Meet {
        Meet::of(self.into_sides())
    }
}

impl<D> sealed::Reconnects for InTurn<D> {
    fn reconnect(&mut self, backoff: Backoff) {
        self.set_backoff(backoff);
    }
}

mod sealed {
    use couplet_endpoint::Backoff;

    pub trait Sealed {}

    pub trait Once {
        /// The mode that joins one pair.
        type Once;

        fn once(self) -> Self::Once;
    }

    pub trait Reconnects {
        /// Dials both sides again, with this back-off.
        fn reconnect(&mut self, backoff: Backoff);
    }
}

impl Sealed for Meet {}
impl Sealed for MeetByKey {}
impl<D> Sealed for DialForA<D> {}
impl<D> Sealed for DialForB<D> {}
impl<D> Sealed for InTurn<D> {}
