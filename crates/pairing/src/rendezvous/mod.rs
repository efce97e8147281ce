//! Both sides come by themselves: joined in the order they come, or by a key.

mod demand;
mod fifo;
mod keyed;
mod slot;
mod waiting;

pub use self::{
    keyed::{Keyed, Third, WhenFull, rendezvous_keyed},
    slot::WaitSlot,
};

use couplet_endpoint::{Io, Replay, Side};

use self::{fifo::Fifo, slot::slots};
use crate::{Pairs, Policy, WaitingCounts, handover::handover};

/// Joins connections that come by themselves on both sides: the one that has waited longest on
/// side A with the one that has waited longest on side B.
///
/// Returns the slots, each the innermost service of its side's stack, and the pairs.
///
/// A waiting connection is watched. One whose peer reset it, or ended its stream without having
/// sent a byte, is dropped and frees its slot at once, and is looked at again at the moment of
/// the match, so that no live connection is joined with a dead one.
///
/// A peer that sent bytes, to its partner or to the relay ([`Info::has_spoken`]), and *then* ended
/// its stream (a half-close, or a close that looks the same) waits on, for its bytes to be delivered
/// and for an answer. Its connection holds no slot, and of its kind at most
/// [`Policy::max_waiting`] wait a side; beyond them the oldest is refused. But a connection of a pool
/// that we dialled ([`Pooled`](couplet_endpoint::Pooled)) has given up.
///
/// To know all this without losing a byte, up to [`Policy::early`] bytes are read ahead and replayed
/// to the reader of the joined connection. Behind them, and behind an end of stream, a reset is
/// noticed within a second.
///
/// A task of its own, spawned here, keeps this up while no pair is asked for; it ends when
/// [`Pairs`] is dropped or a side can bring no more connections.
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
    tokio::spawn(Fifo::new(a, b, giver, policy, &counts));
    (slot_a, slot_b, Pairs::new(taker, counts))
}
