//! The rendezvous by key.

mod guests;
mod index;
mod matchmaker;
mod refusal_reply;
mod switchboard;

pub use self::switchboard::{
    Attachment, Notice, Notices, Place, Reserved, Switchboard, switchboard,
};

use std::{
    fmt,
    future::poll_fn,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, RelayName, Replay, Side};

use self::{index::Tag, matchmaker::Matchmaker, refusal_reply::RefusalReply};
use super::slot::{WaitSlot, slots};
use crate::{Pairs, Policy, Refusal, WaitingCounts, handover::handover};

/// The rules of [`rendezvous_keyed`]: it joins two connections with the same key, on different sides
/// where both have one.
///
/// A handshake puts the key, and the side, into a connection's [`Info`]; the functions given here read
/// them. A client that guesses a key is joined, so keys should be hard to guess. Keys are never logged.
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

/// Which connection is refused when the bound is reached and another comes.
///
/// Before this rule, a connection whose peer has ended its stream gives way, and then one beyond the
/// fair share of its address ([`FairShare`](crate::FairShare)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The new connection.
    Refuse,
    /// The connection that has waited longest.
    Evict,
}

/// The treatment of further connections with the same key when two are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Third {
    /// Further connections wait for each other.
    Queue,
    /// A connection that comes while two are about to be joined, or during their session, is refused.
    Refuse,
    /// Connections that wait at the join are refused; later ones wait.
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
    /// The tag of a connection; `None` without a key. Where a closure panics, the connection is refused as
    /// one without a key.
    fn tag(&self, info: &Info) -> Option<Tag<K, S>> {
        let tag = AssertUnwindSafe(|| {
            Some(Tag {
                key: (self.key)(info)?,
                side: (self.side)(info),
                network: info.peer_network(),
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

    /// Joins only connections whose sides differ; one without a side is joined with any.
    ///
    /// The side may be [`Info::side`], or any other value that differs between partners.
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

    /// Bounds the waiting connections with the same key, which are all on the same side. 1 by default; at
    /// the bound the newcomer is refused, by default. A connection that lost its partner before the join
    /// goes on waiting, whatever the bound.
    ///
    /// # Panics
    ///
    /// If `connections` is 0, with which no pair would ever be joined.
    #[must_use]
    pub fn per_key(mut self, connections: usize, when_full: WhenFull) -> Self {
        assert!(connections > 0, "`per_key` is 0: at least one has to wait");
        self.per_key = connections;
        self.key_full = when_full;
        self
    }

    /// Which connection is refused at the bound of [all keys](Policy::max_waiting); by default the new one.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.full = when_full;
        self
    }

    /// The treatment of a third connection with the same key; [`Third::Queue`] by default.
    #[must_use]
    pub fn third(mut self, third: Third) -> Self {
        self.third = third;
        self
    }

    /// Refuses a connection whose peer sends a byte before the join, for protocols that forbid it.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Sends a refused connection the bytes that `reply` returns, and then closes it; takes at most the
    /// time `within`. By default, and where `reply` returns `None`, the connection is reset. At most twice
    /// [`Policy::max_waiting`] replies are under way; further connections are reset.
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

/// Joins accepted connections with the same key.
///
/// Returns the slot, the innermost service of a side's stack, and the pairs. One stack may serve all
/// endpoints; a clone of the slot serves another one.
///
/// Waiting connections are watched as in [`rendezvous`](crate::rendezvous). A newcomer is joined with the
/// connection of its key that was heard of last, because a peer that has been silent for longer is
/// likelier to have vanished; a peer that was silent for a second is asked before the join. A connection whose peer has ended its stream comes last. Couples that were
/// found first are joined first when the pair stack has room. Of two, the one on side A ([`Info::side`])
/// is A; where neither is, the older.
///
/// Up to [`Policy::max_waiting`] connections wait without a partner. A further connection does not stay
/// in the kernel as in a plain rendezvous, because it may be the partner of a waiting one. It is
/// accepted; without a partner, another gives way or it is refused ([`Refusal::Full`]). First a
/// connection whose peer has ended its stream gives way; then the oldest of the address with most slots
/// (IPv6 by /64), if that has more than the newcomer's address; then [`Keyed::when_full`] decides. So one
/// address can't keep others out. The same rules hold within one key. No more connections are accepted
/// while as many again have a partner and the pair stack has no room for them.
///
/// A waiting connection takes about a kilobyte beside its io. Coming, leaving and joining take
/// logarithmic time.
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
    start(policy, keyed, None)
}

/// As [`rendezvous_keyed`], with partners from elsewhere, too: through the other end of this [`switchboard`].
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn rendezvous_keyed_with<I, K, S>(
    policy: Policy,
    keyed: Keyed<K, S>,
    attachment: Attachment<I, K, S>,
) -> (WaitSlot<I>, Pairs<Replay<I>, Replay<I>>)
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    start(policy, keyed, Some(attachment))
}

fn start<I, K, S>(
    policy: Policy,
    keyed: Keyed<K, S>,
    attachment: Option<Attachment<I, K, S>>,
) -> (WaitSlot<I>, Pairs<Replay<I>, Replay<I>>)
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    let counts = WaitingCounts::default();
    let (giver, taker) = handover();
    let (slot, arrivals) = slots(None, policy.max_waiting.saturating_mul(2));
    let mut matchmaker =
        Matchmaker::new(keyed, policy, arrivals, giver, counts.clone(), attachment);
    let keys = counts.clone();
    let matching = poll_fn(move |cx| {
        let ended = matchmaker.poll(cx);
        // At its end nothing waits any more.
        keys.set_keys(if ended.is_ready() {
            0
        } else {
            matchmaker.keys()
        });
        ended
    });
    tokio::spawn(RelayName::current().scope(matching));
    (slot, Pairs::new(taker, counts))
}
