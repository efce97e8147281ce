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
    seats::{Seat, Seats, free_seats},
    unjoined::Unjoined,
};

/// A place in a [`rendezvous`](crate::rendezvous): the innermost service of a side's stack.
///
/// `poll_ready` reserves it, `call` fills it and returns at once: the connection waits in the
/// pairing, not in the call. Dropping the service gives a reserved place back; a clone has none.
#[derive(Debug)]
pub struct Place<I> {
    side: Option<Side>,
    seats: Seats,
    arrivals: mpsc::UnboundedSender<Arrival<I>>,
}

#[derive(Debug)]
pub(super) struct Arrival<I> {
    pub(super) conn: Unjoined<I>,
    pub(super) seat: Seat,
}

/// Those who have filled a place and have not been taken in yet.
#[derive(Debug)]
pub(super) struct Arrivals<I> {
    queue: mpsc::UnboundedReceiver<Arrival<I>>,
    over: bool,
    seats: Arc<Semaphore>,
}

/// So many places, and those who come to fill them: on this side, or on whichever they are.
pub(super) fn places<I>(side: Option<Side>, places: usize) -> (Place<I>, Arrivals<I>) {
    let free = free_seats(places);
    // Not bounded in itself: every arrival holds a seat.
    let (arrivals, queue) = mpsc::unbounded_channel();
    let place = Place {
        side,
        seats: Seats::new(Arc::clone(&free)),
        arrivals,
    };
    let arrivals = Arrivals {
        queue,
        over: false,
        seats: free,
    };
    (place, arrivals)
}

// ===== impl Place =====

impl<I: Io> Service<Conn<I>> for Place<I> {
    type Response = ();
    type Error = PairingEnded;
    type Future = Ready<Result<(), PairingEnded>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairingEnded>> {
        if self.arrivals.is_closed() {
            return Poll::Ready(Err(PairingEnded(())));
        }
        self.seats.poll_reserve(cx)
    }

    fn call(&mut self, mut conn: Conn<I>) -> Self::Future {
        conn.info.side = self.side.or(conn.info.side);
        conn.info.tell(ConnEvent::Waits);
        let arrival = Arrival {
            conn: Unjoined::new(conn),
            seat: self.seats.take(),
        };
        ready(self.arrivals.send(arrival).map_err(|_| PairingEnded(())))
    }
}

impl<I> Clone for Place<I> {
    fn clone(&self) -> Self {
        Self {
            side: self.side,
            seats: self.seats.clone(),
            arrivals: self.arrivals.clone(),
        }
    }
}

// ===== impl Arrivals =====

impl<I> Arrivals<I> {
    /// The next that has come, if one is there.
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

    /// Can nobody come any more?
    pub(super) fn are_over(&self) -> bool {
        self.over
    }
}

impl<I> Drop for Arrivals<I> {
    fn drop(&mut self) {
        // So that those who wait for a place hear that none will be free.
        self.seats.close();
    }
}
