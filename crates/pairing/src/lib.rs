//! Joins two connections into a pair: waiting clients in their order or by key, or a client and a server
//! that is dialled for it.
//!
//! ```text
//!  side stack A ──▶ slot ─┐
//!                         ├─▶ pairing ──▶ Pairs, a stream of Pair
//!  side stack B ──▶ slot ─┘
//! ```
//!
//! There are two kinds of pairing:
//!
//! - [`rendezvous`]: both sides accept clients, and the oldest connection of A is joined with the oldest
//!   of B; [`rendezvous_keyed`] joins connections with the same key, and through a [`switchboard`] with
//!   partners that wait elsewhere.
//! - [`dial_for_a`], [`dial_for_b`]: a partner is dialled for each connection, and joined with no other.
//!
//! A pairing's services are the innermost of the side stacks, so that its bound reaches the endpoint
//! through tower's own contract: without a slot no accept. Its pairs are driven into a pair stack, and a
//! pair is made only when the pair stack has room.
//!
//! A [`Pair`] is two ios and a [`Session`]: both `Info`s, a [`Meter`] of the bytes, and a switch that
//! ends the pair. A layer can watch or end a pair there, without touching its bytes.
//!
//! See [`rendezvous`] for an example.

mod counts;
mod dial_for;
mod dial_reply;
mod error;
mod handover;
mod pair;
mod pairs;
mod policy;
mod rendezvous;
mod session;
mod sync;
mod unjoined;
mod watch;

pub use self::{
    counts::{WaitEvent, WaitingCounts},
    dial_for::{DialFor, dial_for_a, dial_for_b},
    dial_reply::DialReply,
    error::{PairError, PairingEnded},
    pair::Pair,
    pairs::Pairs,
    policy::Policy,
    rendezvous::{
        Attachment, Heir, Keyed, Notice, Notices, Place, Reserved, Switchboard, Third, WaitSlot,
        WhenFull, rendezvous, rendezvous_keyed, rendezvous_keyed_with, switchboard,
    },
    session::{
        Budget, Budgets, Meter, Moved, OwnedSession, Scope, Session, SessionId, Tap, Tapped,
    },
};

pub use couplet_endpoint::{CloseReason, FairShare, PeerNetwork, Refusal};
