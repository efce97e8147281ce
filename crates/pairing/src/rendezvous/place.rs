use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, Side};
use tokio::sync::{Semaphore, mpsc};
use tower_service::Service;

use crate::{
    PairingEnded, WaitEvent, WaitObserver,
    seats::{Seat, Seats},
};

/// A place in a [`rendezvous`](crate::rendezvous): the innermost service of a side's stack.
///
/// `poll_ready` reserves it, `call` fills it and returns at once: the connection waits in the
/// pairing, not in the call. Dropping the service gives a reserved place back; a clone has none.
#[derive(Debug)]
pub struct Place<I> {
    side: Side,
    seats: Seats,
    arrivals: mpsc::UnboundedSender<Arrival<I>>,
}

#[derive(Debug)]
pub(super) struct Arrival<I> {
    pub(super) conn: Conn<I>,
    pub(super) seat: Seat,
}

// ===== impl Place =====

impl<I> Place<I> {
    pub(super) fn new(
        side: Side,
        free: Arc<Semaphore>,
        // Not bounded in itself: every arrival holds a seat.
        arrivals: mpsc::UnboundedSender<Arrival<I>>,
    ) -> Self {
        Self {
            side,
            seats: Seats::new(free),
            arrivals,
        }
    }
}

impl<I> Service<Conn<I>> for Place<I> {
    type Response = ();
    type Error = PairingEnded;
    type Future = Ready<Result<(), PairingEnded>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairingEnded>> {
        if self.arrivals.is_closed() {
            return Poll::Ready(Err(PairingEnded(())));
        }
        self.seats.poll_reserve(cx)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let conn = conn.on(self.side);
        WaitObserver::tell(&conn.info, WaitEvent::Entered);
        let arrival = Arrival {
            conn,
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
