use std::{
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, Io, Replay};
use tokio::time::Sleep;

use super::waiting::WaitingSet;
use crate::{
    handover::{Asked, Giver},
    pair::Pair,
};

/// The task that keeps both waiting sets and joins their oldest when a pair is asked for.
#[derive(Debug)]
pub(super) struct Matchmaker<A, B> {
    a: WaitingSet<A>,
    b: WaitingSet<B>,
    giver: Giver<Pair<Replay<A>, Replay<B>>>,
    asked: Option<Asked>,
    /// One timer serves both sets, armed for whatever is due first.
    timer: Option<Pin<Box<Sleep>>>,
}

// ===== impl Matchmaker =====

impl<A: Io, B: Io> Matchmaker<A, B> {
    pub(super) fn new(
        a: WaitingSet<A>,
        b: WaitingSet<B>,
        giver: Giver<Pair<Replay<A>, Replay<B>>>,
    ) -> Self {
        Self {
            a,
            b,
            giver,
            asked: None,
            timer: None,
        }
    }

    /// Has the time come to look at the sets again?
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = [self.a.next_due(), self.b.next_due()];
        let Some(due) = due.into_iter().flatten().min() else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }

    /// The oldest of each, both looked at again.
    fn take_oldest(&mut self) -> Option<(Conn<Replay<A>>, Conn<Replay<B>>)> {
        if self.b.is_empty() {
            return None;
        }
        let a = self.a.take_oldest()?;
        match self.b.take_oldest() {
            Some(b) => Some((a.leave(), b.leave())),
            None => {
                self.a.put_back(a);
                None
            }
        }
    }
}

impl<A: Io, B: Io> Future for Matchmaker<A, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            this.a.poll_keep(cx);
            this.b.poll_keep(cx);
            if this.a.is_exhausted() || this.b.is_exhausted() {
                return Poll::Ready(());
            }
            // Until it is pending, even when a pair is asked for: it is how the end is heard of.
            // No two are asked for at a time.
            while let Poll::Ready(asked) = this.giver.poll_asked(cx) {
                let Some(asked) = asked else {
                    return Poll::Ready(());
                };
                this.asked = Some(asked);
            }
            if this.asked.is_some()
                && let Some((a, b)) = this.take_oldest()
                && let Some(asked) = this.asked.take()
            {
                this.giver.give(asked, Pair::new(a, b));
                continue;
            }
            if this.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
