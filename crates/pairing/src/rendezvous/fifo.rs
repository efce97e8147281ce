use std::{
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, Io, Replay};

use super::{
    demand::{Demand, Timer},
    place::Arrivals,
    waiting::WaitingSet,
};
use crate::{Policy, WaitingCounts, handover::Giver, pair::Pair};

/// The task that keeps both waiting sets and joins their oldest when a pair is asked for.
#[derive(Debug)]
pub(super) struct Fifo<A, B> {
    a: Queue<A>,
    b: Queue<B>,
    demand: Demand<Pair<Replay<A>, Replay<B>>>,
    /// One for both sets.
    timer: Timer,
}

/// One side.
#[derive(Debug)]
struct Queue<I> {
    arrivals: Arrivals<I>,
    waiting: WaitingSet<I, (), ()>,
}

// ===== impl Fifo =====

impl<A: Io, B: Io> Fifo<A, B> {
    pub(super) fn new(
        a: Arrivals<A>,
        b: Arrivals<B>,
        giver: Giver<Pair<Replay<A>, Replay<B>>>,
        policy: Policy,
        counts: &WaitingCounts,
    ) -> Self {
        Self {
            a: Queue::new(a, policy, counts),
            b: Queue::new(b, policy, counts),
            demand: Demand::new(giver),
            timer: Timer::default(),
        }
    }

    /// The oldest of each, both looked at again.
    fn take_oldest(&mut self) -> Option<(Conn<Replay<A>>, Conn<Replay<B>>)> {
        if self.b.waiting.is_empty() {
            return None;
        }
        let a = self.a.waiting.take_oldest()?;
        match self.b.waiting.take_oldest() {
            Some(b) => Some((a.leave(), b.leave())),
            None => {
                self.a.waiting.put_back(a);
                None
            }
        }
    }
}

impl<A: Io, B: Io> Future for Fifo<A, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            this.a.poll_keep(cx);
            this.b.poll_keep(cx);
            if this.a.is_exhausted() || this.b.is_exhausted() || this.demand.poll(cx).is_err() {
                return Poll::Ready(());
            }
            if this.demand.is_asked()
                && let Some((a, b)) = this.take_oldest()
            {
                this.demand.give(Pair::new(a, b));
                continue;
            }
            let due = [this.a.waiting.next_due(), this.b.waiting.next_due()];
            let due = due.into_iter().flatten().min();
            if this.timer.poll(cx, due).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

// ===== impl Queue =====

impl<I: Io> Queue<I> {
    fn new(arrivals: Arrivals<I>, policy: Policy, counts: &WaitingCounts) -> Self {
        Self {
            arrivals,
            waiting: WaitingSet::new(policy, counts.clone(), ()),
        }
    }

    /// Takes in who has arrived, lets go of who is gone or has waited too long.
    fn poll_keep(&mut self, cx: &mut Context<'_>) {
        while let Some(arrival) = self.arrivals.poll_next(cx) {
            self.waiting.enter(arrival, ());
        }
        self.waiting.poll_keep(cx);
    }

    /// Can nobody come out of it any more?
    fn is_exhausted(&self) -> bool {
        self.arrivals.are_over() && self.waiting.is_empty()
    }
}
