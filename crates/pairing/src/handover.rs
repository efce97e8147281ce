//! A channel that holds nothing: an item is given only when somebody asks for one.
//!
//! What is matched stays in the waiting set, watched and counted, until the pair stack has room
//! for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::PollSemaphore;

pub(crate) fn handover<T>() -> (Giver<T>, Taker<T>) {
    let asked = Arc::new(Semaphore::new(0));
    let (send, items) = mpsc::unbounded_channel();
    let giver = Giver {
        asked: PollSemaphore::new(Arc::clone(&asked)),
        items: send,
    };
    let taker = Taker {
        asked,
        items,
        waiting: false,
    };
    (giver, taker)
}

#[derive(Debug)]
pub(crate) struct Giver<T> {
    asked: PollSemaphore,
    items: mpsc::UnboundedSender<T>,
}

/// Somebody asks for an item. If it is dropped unused, another giver may have it.
#[derive(Debug)]
pub(crate) struct Asked(OwnedSemaphorePermit);

/// The stream of what is given. It ends when every giver is dropped.
#[derive(Debug)]
pub(crate) struct Taker<T> {
    asked: Arc<Semaphore>,
    items: mpsc::UnboundedReceiver<T>,
    waiting: bool,
}

// ===== impl Giver =====

impl<T> Giver<T> {
    /// Waits until an item is asked for; `None` when nobody will ask any more.
    pub(crate) fn poll_asked(&mut self, cx: &mut Context<'_>) -> Poll<Option<Asked>> {
        self.asked.poll_acquire(cx).map(|permit| permit.map(Asked))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.items.is_closed()
    }

    pub(crate) fn give(&self, asked: Asked, item: T) {
        asked.0.forget();
        // If the taker went this moment, the item goes with it.
        let _ = self.items.send(item);
    }
}

impl<T> Clone for Giver<T> {
    fn clone(&self) -> Self {
        Self {
            asked: self.asked.clone(),
            items: self.items.clone(),
        }
    }
}

// ===== impl Taker =====

impl<T> Stream for Taker<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if !self.waiting {
            self.waiting = true;
            self.asked.add_permits(1);
        }
        let item = ready!(self.items.poll_recv(cx));
        self.waiting = false;
        Poll::Ready(item)
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.asked.close();
    }
}
