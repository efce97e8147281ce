//! A channel that holds nothing: an item is given only when somebody asks for one.
//!
//! What is matched stays in the waiting set, watched and counted, until the pair stack has room
//! for it.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{
    Stream,
    future::{Either, select},
};
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

    /// What the future comes to; `None` if before that nobody will ask any more.
    pub(crate) async fn while_open<F: Future>(&self, future: F) -> Option<F::Output> {
        match select(pin!(future), pin!(self.items.closed())).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
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

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use futures::StreamExt;
    use tokio_test::{assert_pending, assert_ready, assert_ready_eq, task};

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_without_a_request() {
        let (mut giver, mut taker) = handover();
        let mut asked = task::spawn(poll_fn(|cx| giver.poll_asked(cx)));
        assert_pending!(asked.poll());
        let mut taking = task::spawn(taker.next());
        assert_pending!(taking.poll());
        assert!(asked.is_woken());
        let ask = assert_ready!(asked.poll()).unwrap();
        drop(asked);
        giver.give(ask, "one");
        assert!(taking.is_woken());
        assert_ready_eq!(taking.poll(), Some("one"));
        // And no more, until it is asked for again.
        assert_pending!(task::spawn(poll_fn(|cx| giver.poll_asked(cx))).poll());
    }

    #[tokio::test]
    async fn polling_again_requests_one_pair() {
        let (mut giver, mut taker) = handover::<()>();
        for _ in 0..3 {
            // Asked, and given up: as in a `select!`.
            assert_pending!(task::spawn(taker.next()).poll());
        }
        let _ask = assert_ready!(task::spawn(poll_fn(|cx| giver.poll_asked(cx))).poll());
        assert_pending!(task::spawn(poll_fn(|cx| giver.poll_asked(cx))).poll());
    }

    #[tokio::test]
    async fn a_request_that_is_not_used_goes_to_another_sender() {
        let (mut first, mut taker) = handover();
        let (mut second, mut third) = (first.clone(), first.clone());
        assert_pending!(task::spawn(taker.next()).poll());
        let unused = assert_ready!(task::spawn(poll_fn(|cx| first.poll_asked(cx))).poll());
        let mut seconds_turn = task::spawn(poll_fn(move |cx| second.poll_asked(cx)));
        let mut thirds_turn = task::spawn(poll_fn(|cx| third.poll_asked(cx)));
        assert_pending!(seconds_turn.poll());
        assert_pending!(thirds_turn.poll());

        drop(unused);
        assert!(seconds_turn.is_woken());
        assert!(!thirds_turn.is_woken());
        // It belongs to the second, which leaves without having looked.
        drop(seconds_turn);
        assert!(thirds_turn.is_woken());
        let ask = assert_ready!(thirds_turn.poll()).unwrap();
        drop(thirds_turn);
        third.give(ask, "three");
        assert_ready_eq!(task::spawn(taker.next()).poll(), Some("three"));
    }

    #[tokio::test]
    async fn senders_hear_that_the_receiver_is_gone() {
        let (mut giver, mut taker) = handover();
        let other = giver.clone();
        assert_pending!(task::spawn(taker.next()).poll());
        let ask = assert_ready!(task::spawn(poll_fn(|cx| giver.poll_asked(cx))).poll());
        let mut asked = task::spawn(poll_fn(|cx| giver.poll_asked(cx)));
        let mut working = task::spawn(other.while_open(pending::<()>()));
        assert_pending!(asked.poll());
        assert_pending!(working.poll());
        assert!(!other.is_closed());

        drop(taker);
        assert!(asked.is_woken());
        assert!(assert_ready!(asked.poll()).is_none());
        assert!(working.is_woken());
        assert_ready_eq!(working.poll(), None);
        assert!(other.is_closed());
        // Asked for before, and not wanted any more: it goes.
        let item = Arc::new(());
        other.give(ask.unwrap(), Arc::clone(&item));
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[tokio::test]
    async fn the_receiver_hears_that_every_sender_is_gone() {
        let (giver, mut taker) = handover::<()>();
        let other = giver.clone();
        let mut taking = task::spawn(taker.next());
        assert_pending!(taking.poll());
        drop(giver);
        assert_pending!(taking.poll());
        drop(other);
        assert!(taking.is_woken());
        assert_ready_eq!(taking.poll(), None);
    }
}
