use std::{
    fmt,
    future::{Ready, ready},
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, ConnEvent, FairSlot, FairSlots, Io, Replay, Side};
use futures::task::AtomicWaker;
use tokio::sync::mpsc;
use tower_service::Service;

use crate::{PairingEnded, policy::GIVES_WAY, unjoined::Unjoined};

/// A slot in a [`rendezvous`](crate::rendezvous): the innermost service of a side's stack.
///
/// `poll_ready` reserves a slot, `call` fills it and returns at once: the connection waits in the
/// pairing, not in the call. Dropping the service gives a reserved slot back; a clone has none.
///
/// # Errors
///
/// [`PairingEnded`] when the stream of pairs was dropped.
#[derive(Debug)]
pub struct WaitSlot<I> {
    side: Option<Side>,
    slots: FairSlots,
    arrivals: mpsc::UnboundedSender<Arrival<I>>,
    heir: Arc<Heir<I>>,
}

/// Where the waiting connections of a pairing go when another one takes them over: see
/// [`WaitSlot::heir`].
pub struct Heir<I> {
    takes: OnceLock<Box<dyn Fn(Conn<Replay<I>>) + Send + Sync>>,
    pairing: AtomicWaker,
}

#[derive(Debug)]
pub(super) struct Arrival<I> {
    pub(super) conn: Unjoined<I>,
    pub(super) slot: FairSlot,
}

/// The connections that have filled a slot and are not in the waiting set yet.
#[derive(Debug)]
pub(super) struct Arrivals<I> {
    queue: mpsc::UnboundedReceiver<Arrival<I>>,
    over: bool,
    slots: FairSlots,
    heir: Arc<Heir<I>>,
}

/// That many slots, and the connections that fill them: of this side, or of the one they are on.
pub(super) fn slots<I>(side: Option<Side>, slots: usize) -> (WaitSlot<I>, Arrivals<I>) {
    let free = FairSlots::new(slots, GIVES_WAY);
    // Not bounded in itself: every arrival holds a slot.
    let (arrivals, queue) = mpsc::unbounded_channel();
    let slot = WaitSlot {
        side,
        slots: free.clone(),
        arrivals,
        heir: Arc::default(),
    };
    let arrivals = Arrivals {
        queue,
        over: false,
        slots: free,
        heir: Arc::clone(&slot.heir),
    };
    (slot, arrivals)
}

// ===== impl WaitSlot =====

impl<I: Io> Service<Conn<I>> for WaitSlot<I> {
    type Response = ();
    type Error = PairingEnded;
    type Future = Ready<Result<(), PairingEnded>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairingEnded>> {
        if self.arrivals.is_closed() {
            return Poll::Ready(Err(PairingEnded(())));
        }
        self.slots.poll_reserve(cx).map_err(|_| PairingEnded(()))
    }

    fn call(&mut self, mut conn: Conn<I>) -> Self::Future {
        conn.info.side = self.side.or(conn.info.side);
        // One that another pairing has had is told of already.
        if conn.info.handshake().is_none() {
            conn.info.is_through();
            conn.info.tell(ConnEvent::Waits);
        }
        let arrival = Arrival {
            conn: Unjoined::new(conn),
            slot: self.slots.take(),
        };
        ready(self.arrivals.send(arrival).map_err(|_| PairingEnded(())))
    }
}

impl<I> WaitSlot<I> {
    /// The handle that hands the waiting connections of this slot's pairing to another pairing. It keeps neither a
    /// slot nor the pairing alive.
    pub fn heir(&self) -> Arc<Heir<I>> {
        Arc::clone(&self.heir)
    }
}

// ===== impl Heir =====

impl<I> Heir<I> {
    /// Gives each connection that waits, or comes to wait, to this function from now on; no connection is joined
    /// here any more. A connection loses its place in the order and the time that it has waited, but no bytes that
    /// were read ahead. The first call counts. The function runs in the pairing's task.
    pub fn take_over(&self, takes: impl Fn(Conn<Replay<I>>) + Send + Sync + 'static) {
        let _ = self.takes.set(Box::new(takes));
        self.pairing.wake();
    }
}

impl<I> Default for Heir<I> {
    fn default() -> Self {
        Self {
            takes: OnceLock::new(),
            pairing: AtomicWaker::new(),
        }
    }
}

impl<I> fmt::Debug for Heir<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heir").finish_non_exhaustive()
    }
}

impl<I> Clone for WaitSlot<I> {
    fn clone(&self) -> Self {
        Self {
            side: self.side,
            slots: self.slots.clone(),
            arrivals: self.arrivals.clone(),
            heir: Arc::clone(&self.heir),
        }
    }
}

// ===== impl Arrivals =====

impl<I> Arrivals<I> {
    /// The next newcomer, if there is one.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Arrival<I>> {
        if self.over {
            return None;
        }
        match self.queue.poll_recv(cx) {
            Poll::Ready(Some(arrival)) => Some(arrival),
            Poll::Ready(None) => {
                self.over = true;
                None
            }
            Poll::Pending => None,
        }
    }

    /// Wakes the task when the connections are to be given away. Before the [look](Self::heir), so that no change falls
    /// between.
    pub(super) fn register_for_heir(&self, cx: &Context<'_>) {
        self.heir.pairing.register(cx.waker());
    }

    /// What takes the connections over, if they are to be given away.
    pub(super) fn heir(&self) -> Option<Arc<Heir<I>>> {
        let is_set = self.heir.takes.get().is_some();
        is_set.then(|| Arc::clone(&self.heir))
    }

    /// Whether no connection can come any more.
    pub(super) fn are_over(&self) -> bool {
        self.over
    }
}

impl<I> Heir<I> {
    pub(super) fn give(&self, conn: Conn<Replay<I>>) {
        if let Some(takes) = self.takes.get() {
            takes(conn);
        }
    }
}

impl<I> Drop for Arrivals<I> {
    fn drop(&mut self) {
        // So that endpoints that wait for a slot get the end of the pairing.
        self.slots.close();
    }
}
