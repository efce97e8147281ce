//! Joined by a key.

mod index;
mod matchmaker;
mod refusal_reply;

use std::{
    fmt,
    future::poll_fn,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, Replay, Side};

use self::{index::Tag, matchmaker::Matchmaker, refusal_reply::RefusalReply};
use super::slot::{WaitSlot, slots};
use crate::{Pairs, PeerNetwork, Policy, Refusal, WaitingCounts, handover::handover};

/// Which connections are joined in [`rendezvous_keyed`]: two with the same key, on different sides
/// where both have one.
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
    refusal_reply: Option<RefusalReply>,
}

type Extract<T> = dyn Fn(&Info) -> Option<T> + Send + Sync;

/// Which connection is refused when one comes and as many wait as may.
///
/// Before this is asked, a connection whose peer has ended its stream gives way, and one that is
/// beyond the fair share of its address ([`FairShare`](crate::FairShare)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The newcomer.
    Refuse,
    /// The one that has waited longest.
    Evict,
}

/// What becomes of other connections with the same key when two are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Third {
    /// They wait for one another.
    Queue,
    /// A connection that comes while two are about to be joined, or while their session lasts, is
    /// refused.
    Refuse,
    /// Those that wait at the join are refused. One that comes later waits.
    LetGo,
}

// ===== impl Keyed =====

impl<K> Keyed<K> {
    /// Joins any two connections for which `key` returns the same. A connection without a key is
    /// refused.
    pub fn new(key: impl Fn(&Info) -> Option<K> + Send + Sync + 'static) -> Self {
        Self {
            key: Arc::new(key),
            side: Arc::new(|_| None),
            per_key: 1,
            key_full: WhenFull::Refuse,
            full: WhenFull::Refuse,
            third: Third::Queue,
            silent: false,
            refusal_reply: None,
        }
    }
}

impl<K, S> Keyed<K, S> {
    /// What the matchmaker knows a connection by; `None` where it has no key. Where a closure
    /// panics, its connection is refused as if it had none, and no other.
    fn tag(&self, info: &Info) -> Option<Tag<K, S>> {
        let tag = AssertUnwindSafe(|| {
            Some(Tag {
                key: (self.key)(info)?,
                side: (self.side)(info),
                network: PeerNetwork::of(info.peer.map(|peer| peer.ip())),
            })
        });
        catch_unwind(tag).unwrap_or_else(|_| {
            tracing::error!(
                conn = info.id.get(),
                "the closure for a key or a side panicked"
            );
            None
        })
    }

    /// Joins only connections for which `side` returns something different; one without a side is
    /// joined with any.
    ///
    /// The side may be [`Info::side`], or anything else that tells one partner from the other.
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
            refusal_reply: self.refusal_reply,
        }
    }

    /// How many connections with the same key may wait that can't be joined with each other,
    /// because they are on the same side; 1 by default. And which is refused beyond that; by default
    /// the newcomer. A connection that has lost its partner before the join waits on, whatever the
    /// bounds.
    ///
    /// # Panics
    ///
    /// If `connections` is 0: nothing would ever be joined.
    #[must_use]
    pub fn per_key(mut self, connections: usize, when_full: WhenFull) -> Self {
        assert!(connections > 0, "`per_key` is 0: at least one has to wait");
        self.per_key = connections;
        self.key_full = when_full;
        self
    }

    /// Which connection is refused when [as many wait as may](Policy::max_waiting); by default the
    /// newcomer.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.full = when_full;
        self
    }

    /// What becomes of a third connection with the same key; [`Third::Queue`] by default.
    #[must_use]
    pub fn third(mut self, third: Third) -> Self {
        self.third = third;
        self
    }

    /// Refuses a connection whose peer sends a byte before it is joined. For protocols in which a
    /// peer must not.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// What a refused connection is told before it is closed, where `reply` returns something; by
    /// default it is reset. Sending takes at most the time `within`. Twice as many are told at a time
    /// as [may wait](Policy::max_waiting); those beyond are reset.
    #[must_use]
    pub fn refusal_reply(
        mut self,
        within: Duration,
        reply: impl Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.refusal_reply = Some(RefusalReply::new(reply, within));
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
            .field("refusal_reply", &self.refusal_reply)
            .finish_non_exhaustive()
    }
}

/// Joins connections that come by themselves, each with one that has the same key.
///
/// Returns the slot, which is the innermost service of a side's stack, and the pairs. One stack
/// may serve all; a clone of the slot serves another endpoint.
///
/// The waiting are watched as in [`rendezvous`](crate::rendezvous). Of those with the same key, a
/// newcomer is joined with the one that was heard of last: the longer a peer has been silent, the
/// likelier it has vanished without a word. One whose peer has ended its stream comes last. Couples
/// that found each other first are joined first when the pair stack has room. Of two, the one on
/// side A ([`Info::side`]) is A; where neither says so, the older.
///
/// Up to [`Policy::max_waiting`] connections wait without a partner. Unlike in a plain rendezvous,
/// one more is not left with the kernel, as it may be the partner of one that waits: it is taken in,
/// and if it is not, room is made or it is refused ([`Refusal::Full`]). Room is made by a connection
/// whose peer has ended its stream, or else by the oldest of the address that holds most places (IPv6
/// by /64), where that holds more than the newcomer's; or else as [`Keyed::when_full`] says. So one
/// address can't keep the others out. The same holds for the connections of one key. No more are
/// taken in while as many again have a partner and the pair stack has no room for them.
///
/// A waiting connection takes about a kilobyte beside its io, and one that comes, leaves or is joined
/// takes time by the logarithm of how many there are.
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
/// let (mut slot, mut pairs) = rendezvous_keyed(Policy::default(), keyed);
/// for conn in [one, other, third] {
///     slot.ready().await?.call(conn).await?;
/// }
/// let pair = pairs.next().await.expect("two have the same key")?;
/// # assert_eq!([couplet_endpoint::Side::A, couplet_endpoint::Side::B].map(|side| pair.session.info(side).id), expected);
/// # Ok(())
/// # }
/// ```
pub fn rendezvous_keyed<I, K, S>(
    policy: Policy,
    keyed: Keyed<K, S>,
) -> (WaitSlot<I>, Pairs<Replay<I>, Replay<I>>)
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    let counts = WaitingCounts::default();
    let (giver, taker) = handover();
    let (slot, arrivals) = slots(None, policy.max_waiting.saturating_mul(2));
    let mut matchmaker = Matchmaker::new(keyed, policy, arrivals, giver, counts.clone());
    tokio::spawn(poll_fn(move |cx| matchmaker.poll(cx)));
    (slot, Pairs::new(taker, counts))
}
