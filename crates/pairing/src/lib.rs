//! Waiting connections become pairs.
//!
//! ```text
//!  side stack A ──▶ place ─┐
//!                          ├─▶ pairing ──▶ Pairs, a stream of Pair
//!  side stack B ──▶ place ─┘
//! ```
//!
//! There are two kinds of pairing:
//!
//! - [`rendezvous`]: both sides come by themselves, and the oldest is joined with the oldest; with
//!   [`rendezvous_keyed`], connections with the same key are joined.
//! - [`dial_for_a`], [`dial_for_b`]: each connection brings its own partner, which is dialled
//!   for it and belongs to it alone.
//!
//! A pairing's services are the innermost of the side stacks, so that its bound reaches back to
//! the endpoint through tower's own contract: no place, no accept. Its pairs are driven into a
//! pair stack, and a pair is made only when that has room.
//!
//! A [`Pair`] is two ios and a [`Session`]: both `Info`s, a [`Meter`] of the bytes, and a switch that
//! ends the pair. An observer watches or ends a pair there, without touching its bytes.
//!
//! See [`rendezvous`] for an example.

mod counts;
mod dial_for;
mod error;
mod fair_share;
mod handover;
mod pair;
mod pairs;
mod policy;
mod rendezvous;
mod seats;
mod session;
mod sync;
mod unjoined;
mod watch;

pub use self::{
    counts::{WaitEvent, WaitingCounts},
    dial_for::{DialFor, dial_for_a, dial_for_b},
    error::{PairError, PairingEnded},
    fair_share::{FairShare, PeerNetwork},
    pair::Pair,
    pairs::Pairs,
    policy::Policy,
    rendezvous::{Keyed, Third, WaitSlot, WhenFull, rendezvous, rendezvous_keyed},
    session::{Budget, Budgets, Meter, Moved, OwnedSession, Scope, Session, SessionId},
};

pub use couplet_endpoint::{CloseReason, Refusal};
