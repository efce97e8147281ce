use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::PairingEnded;

/// A bounded number of seats, one of which may be reserved here: `poll_reserve` reserves it,
/// `take` hands it out, dropping gives it back, and a clone has none.
#[derive(Debug)]
pub(crate) struct Seats {
    free: PollSemaphore,
    reserved: Option<Seat>,
}

/// A seat; free again when it is dropped.
pub(crate) type Seat = OwnedSemaphorePermit;

/// That many free seats; those beyond what a semaphore counts are as good as endless.
pub(crate) fn free_seats(places: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
}

// ===== impl Seats =====

impl Seats {
    pub(crate) fn new(free: Arc<Semaphore>) -> Self {
        Self {
            free: PollSemaphore::new(free),
            reserved: None,
        }
    }

    pub(crate) fn poll_reserve(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairingEnded>> {
        if self.reserved.is_none() {
            self.reserved = ready!(self.free.poll_acquire(cx));
        }
        // Closed with the pairing: nothing more can be reserved.
        Poll::Ready(self.reserved.as_ref().map(|_| ()).ok_or(PairingEnded(())))
    }

    pub(crate) fn take(&mut self) -> Seat {
        self.reserved
            .take()
            .expect("a seat was reserved: poll_ready comes before call")
    }
}

impl Clone for Seats {
    fn clone(&self) -> Self {
        Self {
            free: self.free.clone(),
            reserved: None,
        }
    }
}
