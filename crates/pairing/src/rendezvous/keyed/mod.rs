//! Joined by a key.

mod farewell;
mod index;
mod matchmaker;

use std::{fmt, future::poll_fn, hash::Hash, sync::Arc, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, Replay, Side};

use self::{farewell::Farewell, matchmaker::Matchmaker};
use super::place::{Place, places};
use crate::{Pairs, Policy, Refusal, WaitingCounts, handover::handover};

/// Who may be joined with whom in [`rendezvous_keyed`]: two with the same key, and on different
/// sides where both have one.
///
/// The key, and the side, is something that a handshake has put into a connection's [`Info`]: a
/// function given here takes it out. A key that others can guess lets them in; none is ever
/// written to a log.
///
/// `K` is the type of the keys, `S` that of the sides.
#[derive(Clone)]
pub struct Keyed<K, S = Side> {
    key: Arc<Extract<K>>,
    side: Arc<Extract<S>>,
    per_key: usize,
    key_full: WhenFull,
    full: WhenFull,
    third: Third,
    silent: bool,
    farewell: Option<Farewell>,
}

type Extract<T> = dyn Fn(&Info) -> Option<T> + Send + Sync;

/// Who gives way when one comes and as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The one that comes is refused.
    Refuse,
    /// The one that has waited longest is refused.
    Evict,
}

/// What becomes of others with the key when two are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    /// They wait for one another.
    Queue,
    /// Who comes while the two are about to be joined, or their session lasts, is refused.
    Refuse,
    /// Those who wait at the join are let go. Who comes later waits.
    LetGo,
}

// ===== impl Keyed =====

impl<K> Keyed<K> {
    /// Joins any two for whom `key` returns the same. For whom it returns none is refused.
    pub fn new(key: impl Fn(&Info) -> Option<K> + Send + Sync + 'static) -> Self {
        Self {
            key: Arc::new(key),
            side: Arc::new(|_| None),
            per_key: 1,
            key_full: WhenFull::Refuse,
            full: WhenFull::Refuse,
            third: Third::Queue,
            silent: false,
            farewell: None,
        }
    }
}

impl<K, S> Keyed<K, S> {
    /// Joins only those for whom `side` returns something different; for whom it returns none may
    /// be joined with any.
    ///
    /// The side may be [`Info::side`], or whatever else tells one partner from the other.
    #[must_use]
    pub fn side<T>(self, side: impl Fn(&Info) -> Option<T> + Send + Sync + 'static) -> Keyed<K, T> {
        Keyed {
            key: self.key,
            side: Arc::new(side),
            per_key: self.per_key,
            key_full: self.key_full,
            full: self.full,
            third: self.third,
            silent: self.silent,
            farewell: self.farewell,
        }
    }

    /// How many with the same key may wait that can't be joined with each other, because they are
    /// on the same side; 1 by default. And who gives way beyond that; by default the one that
    /// comes. Whoever has lost a partner before the join waits on, whatever the bounds.
    #[must_use]
    pub fn per_key(mut self, connections: usize, when_full: WhenFull) -> Self {
        self.per_key = connections;
        self.key_full = when_full;
        self
    }

    /// Who gives way when as many wait as there are [places](Policy::places); by default the one
    /// that comes.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.full = when_full;
        self
    }

    /// What becomes of a third; [`Third::Queue`] by default.
    #[must_use]
    pub fn third(mut self, third: Third) -> Self {
        self.third = third;
        self
    }

    /// Refuses whoever sends a byte before it is joined. For protocols in which one must not.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The [last words](couplet_endpoint::io::last_words) for those who are refused, where `words`
    /// returns some. Saying them takes at most the time `within`. Twice as many are told at a time as
    /// there are [places](Policy::places); to those beyond, and by default, nothing is said.
    #[must_use]
    pub fn farewell(
        mut self,
        within: Duration,
        words: impl Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.farewell = Some(Farewell::new(words, within));
        self
    }
}

impl<K, S> fmt::Debug for Keyed<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("per_key", &(self.per_key, self.key_full))
            .field("full", &self.full)
            .field("third", &self.third)
            .field("silent", &self.silent)
            .field("farewell", &self.farewell)
            .finish_non_exhaustive()
    }
}

/// Joins connections that come by themselves, each with the one that has the same key.
///
/// Returns the place, which is the innermost service of a side's stack, and the pairs. One stack
/// may serve all; a clone of the place serves another endpoint.
///
/// The waiting are watched as in [`rendezvous`](crate::rendezvous). Of those with the same key the
/// oldest is joined first, and those who found each other first are joined first when the pair
/// stack has room. Of two, the one on side A ([`Info::side`]) is A; where they don't say so, the
/// older.
///
/// Up to [`Policy::places`] wait without a partner. Unlike in a plain rendezvous, one more is not
/// left with the system, as it may be the partner of one that waits: it is taken in, and refused
/// ([`Refusal::Full`]) if it is not. No more are taken in while as many again have a partner and
/// the pair stack has no room for them.
///
/// One that waits takes about a kilobyte beside its io, and one that comes, leaves or is joined takes
/// time by the logarithm of how many there are.
///
/// # Panics
///
/// Outside of a tokio runtime.
///
/// ```
/// use couplet_endpoint::memory;
/// use couplet_pairing::{Keyed, Policy, rendezvous_keyed};
/// use futures::StreamExt;
/// use tower::{Service, ServiceExt};
/// # use couplet_endpoint::{Conn, Origin};
///
/// /// What a handshake has found out.
/// struct Room(u32);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let conn = || {
/// #     let (io, peer) = memory::connection(64);
/// #     (Conn::new(io, Origin::Accepted), peer)
/// # };
/// # let ((mut one, _one_peer), (mut other, _other_peer), (mut third, _third_peer)) = (conn(), conn(), conn());
/// # one.info.extensions.insert(Room(7));
/// # other.info.extensions.insert(Room(3));
/// # third.info.extensions.insert(Room(7));
/// # let expected = [one.info.id, third.info.id];
/// let keyed = Keyed::new(|info| info.extensions.get::<Room>().map(|room| room.0));
/// let (mut place, mut pairs) = rendezvous_keyed(Policy::default(), keyed);
/// for conn in [one, other, third] {
///     place.ready().await?.call(conn).await?;
/// }
/// let pair = pairs.next().await.expect("two have the same key")?;
/// # assert_eq!([couplet_endpoint::Side::A, couplet_endpoint::Side::B].map(|side| pair.session.info(side).id), expected);
/// # Ok(())
/// # }
/// ```
pub fn rendezvous_keyed<I, K, S>(
    policy: Policy,
    keyed: Keyed<K, S>,
) -> (Place<I>, Pairs<Replay<I>, Replay<I>>)
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    let counts = WaitingCounts::default();
    let (giver, taker) = handover();
    let (place, arrivals) = places(None, policy.places.saturating_mul(2));
    let mut matchmaker = Matchmaker::new(keyed, policy, arrivals, giver, counts.clone());
    tokio::spawn(poll_fn(move |cx| matchmaker.poll(cx)));
    (place, Pairs::new(taker, counts))
}
