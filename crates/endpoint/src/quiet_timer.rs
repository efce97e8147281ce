use std::{
    pin::Pin,
    ptr,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep};

/// A [`Sleep`] for a task that is polled often, with each byte of a connection: while the timer has not
/// fired and its task is the same, a poll costs a look at its state.
#[pin_project]
#[derive(Debug)]
pub struct QuietTimer {
    #[pin]
    sleep: Sleep,
    /// The waker that the timer holds; 0 where it holds none.
    waker: usize,
}

// ===== impl QuietTimer =====

impl QuietTimer {
    /// Fires after that time.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    pub fn new(after: Duration) -> Self {
        Self {
            sleep: sleep(after),
            waker: 0,
        }
    }

    /// Ready when the time is up, and from then on. Wakes the task that polled it last.
    pub fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let waker = cx.waker();
        // The same waker: it is not freed, and its place not given to another, while it is held.
        let waker = waker.data().addr() ^ ptr::from_ref(waker.vtable()).addr();
        if *this.waker == waker && !this.sleep.is_elapsed() {
            return Poll::Pending;
        }
        *this.waker = waker;
        this.sleep.poll(cx)
    }

    /// Whether the time is up.
    pub fn is_elapsed(&self) -> bool {
        self.sleep.is_elapsed()
    }

    /// Fires at that time instead, or again.
    pub fn reset(self: Pin<&mut Self>, due: Instant) {
        let this = self.project();
        this.sleep.reset(due);
        // Firing has taken the waker.
        *this.waker = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_polled_it_last() {
        let mut timer = pin!(QuietTimer::new(SECOND));
        let (mut first, mut last) = (task::spawn(()), task::spawn(()));
        assert_pending!(first.enter(|cx, _| timer.as_mut().poll(cx)));
        for _ in 0..2 {
            assert_pending!(last.enter(|cx, _| timer.as_mut().poll(cx)));
        }
        tokio::time::advance(SECOND).await;
        assert!(!first.is_woken());
        assert!(last.is_woken());
        assert_ready!(last.enter(|cx, _| timer.as_mut().poll(cx)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_set_again() {
        let mut timer = pin!(QuietTimer::new(SECOND));
        let mut pair = task::spawn(());
        for _ in 0..3 {
            assert_pending!(pair.enter(|cx, _| timer.as_mut().poll(cx)));
            tokio::time::advance(SECOND).await;
            assert!(pair.is_woken());
            assert_ready!(pair.enter(|cx, _| timer.as_mut().poll(cx)));
            timer.as_mut().reset(Instant::now() + SECOND);
        }
    }
}
