//! Joins accepted connections: in the order in which they come, or by a key.

mod asking;
mod demand;
mod fifo;
mod keyed;
mod slot;
mod waiting;

pub use self::{
    keyed::{
        Attachment, Keyed, Notice, Notices, Place, Reserved, Switchboard, Third, WhenFull,
        rendezvous_keyed, rendezvous_keyed_with, switchboard,
    },
    slot::{Heir, WaitSlot},
};

use couplet_endpoint::{Io, RelayName, Replay, Side};

use self::{fifo::Fifo, slot::slots};
use crate::{Pairs, Policy, WaitingCounts, handover::handover};

/// Joins the connection that has waited longest on side A with the one that has waited longest on side
/// B.
///
/// Returns the slots, each the innermost service of its side's stack, and the pairs.
///
/// Waiting connections are watched. When a peer resets, or ends its stream without having sent a byte,
/// the connection is dropped and its slot is free at once. Every connection is checked again at the
/// match, so no live connection is joined with a dead one. A peer that was silent for a
/// second is asked then, where the system can ([`is_alive`](couplet_endpoint::io::is_alive)): if no
/// answer comes within 3 seconds, the connection is dropped, and its partner waits on for another.
///
/// A peer that sent bytes, to its partner or to the relay ([`Info::has_spoken`]), and *then* ended its
/// stream (a half-close, or a close that looks the same) goes on waiting, for its bytes to be delivered
/// and for an answer. Such a connection holds no slot; at most [`Policy::max_waiting`] of them wait a
/// side, and beyond that the oldest is refused. A connection of a dialled pool
/// ([`Pooled`](couplet_endpoint::Pooled)) counts as gone in this case.
///
/// For this, up to [`Policy::early`] bytes are read ahead, and replayed to the reader of the joined
/// connection. A reset behind those bytes, or behind an end of stream, is noticed within a second.
///
/// A task, spawned here, does this work while no pair is requested. It ends when [`Pairs`] is dropped or
/// a side can bring no more connections.
///
/// [`Info::has_spoken`]: couplet_endpoint::Info::has_spoken
///
/// # Panics
///
/// Outside of a tokio runtime.
///
/// ```
/// use couplet_endpoint::memory;
/// use couplet_pairing::{Policy, rendezvous};
/// use futures::StreamExt;
/// use tower::{Service, ServiceExt};
/// # use couplet_endpoint::{Conn, Origin};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let (a_io, _a_peer) = memory::connection(64);
/// # let (b_io, _b_peer) = memory::connection(64);
/// # let (conn_a, conn_b) = (Conn::new(a_io, Origin::Accepted), Conn::new(b_io, Origin::Accepted));
/// let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
/// a.ready().await?.call(conn_a).await?;
/// b.ready().await?.call(conn_b).await?;
/// let pair = pairs.next().await.expect("both sides are here")?;
/// # Ok(())
/// # }
/// ```
pub fn rendezvous<A: Io, B: Io>(
    policy: Policy,
) -> (WaitSlot<A>, WaitSlot<B>, Pairs<Replay<A>, Replay<B>>) {
    let counts = WaitingCounts::default();
    let (giver, taker) = handover();
    let (slot_a, a) = slots(Some(Side::A), policy.max_waiting);
    let (slot_b, b) = slots(Some(Side::B), policy.max_waiting);
    let fifo = Fifo::new(a, b, giver, policy, &counts);
    tokio::spawn(RelayName::current().scope(fifo));
    (slot_a, slot_b, Pairs::new(taker, counts))
}
