//! Both sides come by themselves: joined in the order they come, or by a key.

mod demand;
mod fifo;
mod keyed;
mod place;
mod waiting;

pub use self::{
    keyed::{Keyed, Third, WhenFull, rendezvous_keyed},
    place::Place,
};

use couplet_endpoint::{Io, Replay, Side};

use self::{fifo::Fifo, place::places};
use crate::{Pairs, Policy, WaitingCounts, handover::handover};

/// Joins connections that come by themselves on both sides: whoever has waited longest on side A
/// with whoever has waited longest on side B.
///
/// Returns the places, each the innermost service of its side's stack, and the pairs.
///
/// A waiting connection is watched. One whose peer reset it, or ended its stream without having
/// sent a byte, is dropped and frees its place at once, and is looked at again at the moment of
/// the match, so that no live connection is joined with a dead one. A peer that sent bytes and
/// *then* ended its stream stays: it wants them delivered; but not one of a pool that we dialled
/// ([`Pooled`](couplet_endpoint::Pooled)), which has given up. To know this without losing a byte,
/// up to [`Policy::early`] bytes are read ahead and replayed to whoever reads the joined
/// connection; beyond that, a reset is noticed within a second.
///
/// A task of its own, spawned here, keeps this up while nobody asks for a pair; it ends when
/// [`Pairs`] is dropped or a side can bring no more connections.
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
) -> (Place<A>, Place<B>, Pairs<Replay<A>, Replay<B>>) {
    let counts = WaitingCounts::default();
    let (giver, taker) = handover();
    let (place_a, a) = places(Some(Side::A), policy.places);
    let (place_b, b) = places(Some(Side::B), policy.places);
    tokio::spawn(Fifo::new(a, b, giver, policy, &counts));
    (place_a, place_b, Pairs::new(taker, counts))
}
