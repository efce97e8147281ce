//! Partners that come from elsewhere: from another node, behind the same balancer.
//!
//! ```text
//!                     Notice: waits alone ──▶  the program that looks elsewhere
//!  rendezvous by key                                    │
//!                     ◀── take, then join or give back ─┘
//! ```
//!
//! The rendezvous stays the only authority for its connections. A connection is offered elsewhere while it
//! waits alone; a partner is joined with it only after [`Switchboard::take`], which is the
//! compare-and-swap: the first caller gets the connection, and no other does.

use std::{collections::HashMap, fmt};

use couplet_endpoint::{Conn, Extensions, Info, Io, Refusal, Side};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::unjoined::Unjoined;

/// The handle of a rendezvous by key for a program that finds partners elsewhere: takes connections that wait
/// alone, to join them with connections of the program. Cheap to clone; made by [`switchboard`].
#[derive(Debug)]
pub struct Switchboard<I> {
    asks: mpsc::UnboundedSender<Ask<I>>,
}

/// The end of a [`switchboard`] for [`rendezvous_keyed_with`](crate::rendezvous_keyed_with).
#[derive(Debug)]
pub struct Attachment<I, K, S = Side> {
    pub(super) asks: mpsc::UnboundedReceiver<Ask<I>>,
    pub(super) asking: mpsc::UnboundedSender<Ask<I>>,
    pub(super) notices: mpsc::UnboundedSender<Notice<K, S>>,
}

/// A stream with a [`Notice`] each time a connection begins to wait alone. Ends with the rendezvous.
///
/// Must be read, because unread notices are kept.
pub type Notices<K, S = Side> = mpsc::UnboundedReceiver<Notice<K, S>>;

/// A connection has begun to wait alone: no partner with its key is here.
#[derive(Debug)]
pub struct Notice<K, S = Side> {
    /// The place of the connection, for [`Switchboard::take`].
    pub place: Place,
    /// The key.
    pub key: K,
    /// The side; `None` for a connection that meets any.
    pub side: Option<S>,
    /// How often this connection was taken and given back before.
    pub returned: u32,
    /// When the connection came to wait here; of one that was given back, the first time.
    pub since: Instant,
    left: oneshot::Receiver<()>,
}

/// A waiting connection of a rendezvous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub(super) u64);

/// A connection that was taken to be joined with a partner from elsewhere. It is no longer joined here, nor
/// watched, so keep it for seconds at most. Dropping it gives the connection back, which goes on waiting.
#[must_use = "dropping it gives the connection back"]
pub struct Reserved<I> {
    number: u64,
    info: Info,
    returned: u32,
    /// None once it is joined.
    asks: Option<mpsc::UnboundedSender<Ask<I>>>,
}

/// What the other end asks of a rendezvous.
#[derive(Debug)]
pub(super) enum Ask<I> {
    Take(u64, oneshot::Sender<Reserved<I>>),
    Back(u64),
    Join(u64, Unjoined<I>),
    /// Both wait here.
    Couple(u64, u64),
    /// With the extensions of its info.
    Refuse(u64, Refusal, Extensions),
}

/// What the index tells of connections that wait alone.
#[derive(Debug)]
pub(super) struct Notifier<K, S> {
    notices: mpsc::UnboundedSender<Notice<K, S>>,
    told: HashMap<u64, Told>,
    /// Of the connection that is put back now: how often before, and since when it waits.
    pub(super) returned: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Told {
    returned: u32,
    /// Its drop tells that the connection has left.
    _stays: oneshot::Sender<()>,
}

/// A switchboard: the handle that takes connections, the notices of those that wait alone, and the end
/// for [`rendezvous_keyed_with`](crate::rendezvous_keyed_with).
///
/// ```
/// use couplet_endpoint::memory;
/// use couplet_pairing::{Keyed, Policy, rendezvous_keyed_with, switchboard};
/// use futures::StreamExt;
/// use tower::{Service, ServiceExt};
/// # use couplet_endpoint::{Conn, Origin};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let ((io, _peer), (other_io, _other_peer)) = (memory::connection(64), memory::connection(64));
/// # let (conn, from_elsewhere) = (Conn::new(io, Origin::Accepted), Conn::new(other_io, Origin::Accepted));
/// let (switchboard, mut notices, attachment) = switchboard();
/// let keyed = Keyed::new(|_| Some("key"));
/// let (mut slot, mut pairs) = rendezvous_keyed_with(Policy::default(), keyed, attachment);
/// slot.ready().await?.call(conn).await?;
///
/// let alone = notices.recv().await.expect("it waits alone");
/// let reserved = switchboard.take(alone.place).await.expect("it is still there");
/// reserved.join(from_elsewhere);
/// let pair = pairs.next().await.expect("the two are joined")?;
/// # Ok(())
/// # }
/// ```
pub fn switchboard<I, K, S>() -> (Switchboard<I>, Notices<K, S>, Attachment<I, K, S>) {
    let (asking, asks) = mpsc::unbounded_channel();
    let (notices, read) = mpsc::unbounded_channel();
    let switchboard = Switchboard {
        asks: asking.clone(),
    };
    let attachment = Attachment {
        asks,
        asking,
        notices,
    };
    (switchboard, read, attachment)
}

// ===== impl Switchboard =====

impl<I> Switchboard<I> {
    /// Takes the connection at this place. `None` if it is not there any more, has a partner, was taken
    /// before, or its peer turns out to be gone: a peer that was silent for a second is asked first, as
    /// before any join, for up to 3 seconds.
    ///
    /// Cancel-safe: a connection that was taken meanwhile goes back.
    pub async fn take(&self, place: Place) -> Option<Reserved<I>> {
        let (reply, taken) = oneshot::channel();
        self.asks.send(Ask::Take(place.0, reply)).ok()?;
        taken.await.ok()
    }

    /// Waits until the rendezvous has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.asks.closed().await;
    }
}

impl<I> Clone for Switchboard<I> {
    fn clone(&self) -> Self {
        Self {
            asks: self.asks.clone(),
        }
    }
}

// ===== impl Notice =====

impl<K, S> Notice<K, S> {
    /// The same notice with another key, and another side.
    pub fn map<T, U>(self, map: impl FnOnce(K, Option<S>) -> (T, Option<U>)) -> Notice<T, U> {
        let Self {
            place,
            key,
            side,
            returned,
            since,
            left,
        } = self;
        let (key, side) = map(key, side);
        Notice {
            place,
            key,
            side,
            returned,
            since,
            left,
        }
    }

    /// Waits until the connection no longer waits alone: it has found a partner, was taken or refused, or its peer
    /// has left. Cancel-safe.
    pub async fn left(&mut self) {
        let _ = (&mut self.left).await;
    }

    /// Whether the connection no longer waits alone.
    pub fn has_left(&mut self) -> bool {
        !matches!(
            self.left.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        )
    }
}

// ===== impl Reserved =====

impl<I> Reserved<I> {
    pub(super) fn new(
        number: u64,
        info: Info,
        returned: u32,
        asks: mpsc::UnboundedSender<Ask<I>>,
    ) -> Self {
        Self {
            number,
            info,
            returned,
            asks: Some(asks),
        }
    }

    /// The `Info` of the connection.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How often the connection was given back before.
    pub fn returned(&self) -> u32 {
        self.returned
    }

    /// Joins the connection with a partner from elsewhere, as soon as the pair stack has room. If its peer
    /// has gone by then, the partner is reset.
    ///
    /// Of the two, the one on side A ([`Info::side`]) is A; where neither is, the one that waited here.
    pub fn join(mut self, partner: Conn<I>)
    where
        I: Io,
    {
        if let Some(asks) = self.asks.take() {
            // Without a rendezvous, the partner is reset.
            let _ = asks.send(Ask::Join(self.number, Unjoined::new(partner)));
        }
    }

    /// Joins the connection with another of the same rendezvous that was taken, whatever their keys, as soon as
    /// the pair stack has room. If the peer of one has gone by then, the other goes on waiting.
    ///
    /// Of the two, the one on side A ([`Info::side`]) is A; where neither is, the older.
    pub fn join_here(mut self, mut other: Self) {
        if let (Some(asks), Some(_)) = (self.asks.take(), other.asks.take()) {
            let _ = asks.send(Ask::Couple(self.number, other.number));
        }
    }

    /// Refuses the connection, with the reply that [`Keyed::refusal_reply`] makes of its info, in whose
    /// extensions `because` is then.
    ///
    /// [`Keyed::refusal_reply`]: crate::Keyed::refusal_reply
    pub fn refuse<T: Send + Sync + 'static>(mut self, refusal: Refusal, because: T) {
        if let Some(asks) = self.asks.take() {
            let mut extensions = std::mem::take(&mut self.info.extensions);
            extensions.insert(because);
            let _ = asks.send(Ask::Refuse(self.number, refusal, extensions));
        }
    }
}

impl<I> Drop for Reserved<I> {
    fn drop(&mut self) {
        if let Some(asks) = self.asks.take() {
            let _ = asks.send(Ask::Back(self.number));
        }
    }
}

impl<I> fmt::Debug for Reserved<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved")
            .field("number", &self.number)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

// ===== impl Notifier =====

impl<K, S> Notifier<K, S> {
    pub(super) fn new(notices: mpsc::UnboundedSender<Notice<K, S>>) -> Self {
        Self {
            notices,
            told: HashMap::new(),
            returned: None,
        }
    }

    /// This connection waits alone from now on.
    pub(super) fn alone(&mut self, number: u64, key: K, side: Option<S>) {
        let (stays, left) = oneshot::channel();
        let (returned, since) = self.returned.unwrap_or_else(|| (0, Instant::now()));
        let told = Told {
            returned,
            _stays: stays,
        };
        let notice = Notice {
            place: Place(number),
            key,
            side,
            returned,
            since,
            left,
        };
        // Without a reader, no partner is looked for elsewhere.
        if self.notices.send(notice).is_ok() {
            self.told.insert(number, told);
        }
    }

    /// This connection waits alone no longer.
    pub(super) fn no_longer_alone(&mut self, number: u64) {
        self.told.remove(&number);
    }

    /// Whether this connection waits alone; how often it was given back then.
    pub(super) fn returned(&self, number: u64) -> Option<u32> {
        self.told.get(&number).map(|told| told.returned)
    }
}
