//! Both sides come by themselves: the oldest of the one is joined with the oldest of the other.

mod matchmaker;
mod place;
mod waiting;

pub use self::place::Place;

use std::sync::Arc;

use couplet_endpoint::{Io, Replay, Side};
use tokio::sync::mpsc;

use self::{matchmaker::Matchmaker, waiting::WaitingSet};
use crate::{Pairs, Policy, WaitingCounts, handover::handover, seats::free_seats};

/// Joins connections that come by themselves on both sides: whoever has waited longest on side A
/// with whoever has waited longest on side B.
///
/// Returns the places, each the innermost service of its side's stack, and the pairs.
///
/// A waiting connection is watched. One whose peer reset it, or ended its stream without having
/// sent a byte, is dropped and frees its place at once, and is looked at again at the moment of
/// the match, so that no live connection is joined with a dead one. A peer that sent bytes and
/// *then* ended its stream stays: it wants them delivered. To know this without losing a byte,
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
    let (a, a_set) = side(Side::A, policy, &counts);
    let (b, b_set) = side(Side::B, policy, &counts);
    tokio::spawn(Matchmaker::new(a_set, b_set, giver));
    (a, b, Pairs::new(taker, counts))
}

fn side<I: Io>(side: Side, policy: Policy, counts: &WaitingCounts) -> (Place<I>, WaitingSet<I>) {
    let seats = free_seats(policy.places);
    let (send, arrivals) = mpsc::unbounded_channel();
    let place = Place::new(side, Arc::clone(&seats), send);
    let set = WaitingSet::new(side, policy, arrivals, seats, counts.clone());
    (place, set)
}
