//! A demand channel: an item is sent only when the receiver requests one.
//!
//! So connections stay in the waiting set, watched and counted, until the pair stack has room.

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

pub(crate) fn handover<T>() -> (Sender<T>, Receiver<T>) {
    let requests = Arc::new(Semaphore::new(0));
    let (send, items) = mpsc::unbounded_channel();
    let sender = Sender {
        requests: PollSemaphore::new(Arc::clone(&requests)),
        items: send,
    };
    let receiver = Receiver {
        requests,
        items,
        waiting: false,
    };
    (sender, receiver)
}

#[derive(Debug)]
pub(crate) struct Sender<T> {
    requests: PollSemaphore,
    items: mpsc::UnboundedSender<T>,
}

/// A request for an item. Dropped unused, it goes to another sender.
#[derive(Debug)]
pub(crate) struct Request(OwnedSemaphorePermit);

/// The stream of the items sent. It ends when every sender is dropped.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    requests: Arc<Semaphore>,
    items: mpsc::UnboundedReceiver<T>,
    waiting: bool,
}

// ===== impl Sender =====

impl<T> Sender<T> {
    /// Waits for a request; `None` when the receiver is gone.
    pub(crate) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<Request>> {
        self.requests
            .poll_acquire(cx)
            .map(|permit| permit.map(Request))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.items.is_closed()
    }

    /// The result of the future; `None` if the receiver goes first.
    pub(crate) async fn while_open<F: Future>(&self, future: Pin<&mut F>) -> Option<F::Output> {
        match select(future, pin!(self.items.closed())).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    pub(crate) fn send(&self, request: Request, item: T) {
        request.0.forget();
        // If the receiver is gone by now, the item is dropped.
        let _ = self.items.send(item);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            items: self.items.clone(),
        }
    }
}

// ===== impl Receiver =====

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if !self.waiting {
            self.waiting = true;
            self.requests.add_permits(1);
        }
        let item = ready!(self.items.poll_recv(cx));
        self.waiting = false;
        Poll::Ready(item)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.requests.close();
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
        let (mut sender, mut receiver) = handover();
        let mut request = task::spawn(poll_fn(|cx| sender.poll_request(cx)));
        assert_pending!(request.poll());
        let mut taking = task::spawn(receiver.next());
        assert_pending!(taking.poll());
        assert!(request.is_woken());
        let permit = assert_ready!(request.poll()).unwrap();
        drop(request);
        sender.send(permit, "one");
        assert!(taking.is_woken());
        assert_ready_eq!(taking.poll(), Some("one"));
        // And no more, until the next request.
        assert_pending!(task::spawn(poll_fn(|cx| sender.poll_request(cx))).poll());
    }

    #[tokio::test]
    async fn polling_again_requests_one_pair() {
        let (mut sender, mut receiver) = handover::<()>();
        for _ in 0..3 {
            // Requested, and then dropped, as in a `select!`.
            assert_pending!(task::spawn(receiver.next()).poll());
        }
        let _permit = assert_ready!(task::spawn(poll_fn(|cx| sender.poll_request(cx))).poll());
        assert_pending!(task::spawn(poll_fn(|cx| sender.poll_request(cx))).poll());
    }

    #[tokio::test]
    async fn a_request_that_is_not_used_goes_to_another_sender() {
        let (mut first, mut receiver) = handover();
        let (mut second, mut third) = (first.clone(), first.clone());
        assert_pending!(task::spawn(receiver.next()).poll());
        let unused = assert_ready!(task::spawn(poll_fn(|cx| first.poll_request(cx))).poll());
        let mut seconds_turn = task::spawn(poll_fn(move |cx| second.poll_request(cx)));
        let mut thirds_turn = task::spawn(poll_fn(|cx| third.poll_request(cx)));
        assert_pending!(seconds_turn.poll());
        assert_pending!(thirds_turn.poll());

        drop(unused);
        assert!(seconds_turn.is_woken());
        assert!(!thirds_turn.is_woken());
        // It goes to the second, which is dropped unpolled.
        drop(seconds_turn);
        assert!(thirds_turn.is_woken());
        let permit = assert_ready!(thirds_turn.poll()).unwrap();
        drop(thirds_turn);
        third.send(permit, "three");
        assert_ready_eq!(task::spawn(receiver.next()).poll(), Some("three"));
    }

    #[tokio::test]
    async fn senders_hear_that_the_receiver_is_gone() {
        let (mut sender, mut receiver) = handover();
        let other = sender.clone();
        assert_pending!(task::spawn(receiver.next()).poll());
        let permit = assert_ready!(task::spawn(poll_fn(|cx| sender.poll_request(cx))).poll());
        let mut request = task::spawn(poll_fn(|cx| sender.poll_request(cx)));
        let mut nothing = pin!(pending::<()>());
        let mut working = task::spawn(other.while_open(nothing.as_mut()));
        assert_pending!(request.poll());
        assert_pending!(working.poll());
        assert!(!other.is_closed());

        drop(receiver);
        assert!(request.is_woken());
        assert!(assert_ready!(request.poll()).is_none());
        assert!(working.is_woken());
        assert_ready_eq!(working.poll(), None);
        assert!(other.is_closed());
        // Requested before the end, so the item is dropped with the receiver.
        let item = Arc::new(());
        other.send(permit.unwrap(), Arc::clone(&item));
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[tokio::test]
    async fn the_receiver_hears_that_every_sender_is_gone() {
        let (sender, mut receiver) = handover::<()>();
        let other = sender.clone();
        let mut taking = task::spawn(receiver.next());
        assert_pending!(taking.poll());
        drop(sender);
        assert_pending!(taking.poll());
        drop(other);
        assert!(taking.is_woken());
        assert_ready_eq!(taking.poll(), None);
    }
}
