use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, ConnEvent, Io, Side};
use tokio::sync::{Semaphore, mpsc};
use tower_service::Service;

use crate::{
    PairingEnded,
    permits::{Permit, Permits, free_permits},
    unjoined::Unjoined,
};

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
    slots: Permits,
    arrivals: mpsc::UnboundedSender<Arrival<I>>,
}

#[derive(Debug)]
pub(super) struct Arrival<I> {
    pub(super) conn: Unjoined<I>,
    pub(super) slot: Permit,
}

/// The connections that have filled a slot and are not in the waiting set yet.
#[derive(Debug)]
pub(super) struct Arrivals<I> {
    queue: mpsc::UnboundedReceiver<Arrival<I>>,
    over: bool,
    slots: Arc<Semaphore>,
}

/// That many slots, and the connections that fill them: of this side, or of the one they are on.
pub(super) fn slots<I>(side: Option<Side>, slots: usize) -> (WaitSlot<I>, Arrivals<I>) {
    let free = free_permits(slots);
    // Not bounded in itself: every arrival holds a slot.
    let (arrivals, queue) = mpsc::unbounded_channel();
    let slot = WaitSlot {
        side,
        slots: Permits::new(Arc::clone(&free)),
        arrivals,
    };
    let arrivals = Arrivals {
        queue,
        over: false,
        slots: free,
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
        self.slots.poll_reserve(cx)
    }

    fn call(&mut self, mut conn: Conn<I>) -> Self::Future {
        conn.info.side = self.side.or(conn.info.side);
        conn.info.is_through();
        conn.info.tell(ConnEvent::Waits);
        let arrival = Arrival {
            conn: Unjoined::new(conn),
            slot: self.slots.take(),
        };
        ready(self.arrivals.send(arrival).map_err(|_| PairingEnded(())))
    }
}

impl<I> Clone for WaitSlot<I> {
    fn clone(&self) -> Self {
        Self {
            side: self.side,
            slots: self.slots.clone(),
            arrivals: self.arrivals.clone(),
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

    /// Whether no connection can come any more.
    pub(super) fn are_over(&self) -> bool {
        self.over
    }
}

impl<I> Drop for Arrivals<I> {
    fn drop(&mut self) {
        // So that endpoints that wait for a slot get the end of the pairing.
        self.slots.close();
    }
}
