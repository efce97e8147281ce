use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::PairingEnded;

/// A bounded number of permits, one of which may be reserved here: `poll_reserve` reserves it,
/// `take` hands it out, dropping gives it back, and a clone has none.
#[derive(Debug)]
pub(crate) struct Permits {
    free: PollSemaphore,
    reserved: Option<Permit>,
}

/// A permit; free again when it is dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// This many free permits; more than a semaphore can count is no bound in practice.
pub(crate) fn free_permits(places: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
}

// ===== impl Permits =====

impl Permits {
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

    pub(crate) fn take(&mut self) -> Permit {
        self.reserved
            .take()
            .expect("a permit was reserved: poll_ready comes before call")
    }
}

impl Clone for Permits {
    fn clone(&self) -> Self {
        Self {
            free: self.free.clone(),
            reserved: None,
        }
    }
}
