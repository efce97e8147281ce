use std::{
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::{Io, Replay};

use super::{
    asking::{Answer, Asking},
    demand::{Demand, Timer},
    slot::Arrivals,
    waiting::{Change, Waiting, WaitingSet},
};
use crate::{Policy, WaitingCounts, handover::Sender, pair::Pair};

/// The task that keeps both waiting sets, and joins their oldest connections when a pair is requested.
#[derive(Debug)]
pub(super) struct Fifo<A, B> {
    a: Queue<A>,
    b: Queue<B>,
    asking: Asking<Waiting<A, ()>, Waiting<B, ()>>,
    demand: Demand<Pair<Replay<A>, Replay<B>>>,
    /// One for both sets.
    timer: Timer,
}

/// One side.
#[derive(Debug)]
struct Queue<I> {
    arrivals: Arrivals<I>,
    waiting: WaitingSet<I, ()>,
}

// ===== impl Fifo =====

impl<A: Io, B: Io> Fifo<A, B> {
    pub(super) fn new(
        a: Arrivals<A>,
        b: Arrivals<B>,
        sender: Sender<Pair<Replay<A>, Replay<B>>>,
        policy: Policy,
        counts: &WaitingCounts,
    ) -> Self {
        Self {
            a: Queue::new(a, policy, counts),
            b: Queue::new(b, policy, counts),
            asking: Asking::new(),
            demand: Demand::new(sender),
            timer: Timer::default(),
        }
    }

    /// Takes the oldest live connection of each side.
    fn take_oldest(&mut self) -> Option<(Waiting<A, ()>, Waiting<B, ()>)> {
        if self.b.waiting.is_empty() {
            return None;
        }
        let a = self.a.take_oldest()?;
        match self.b.take_oldest() {
            Some(b) => Some((a, b)),
            None => {
                self.a.put_back(a);
                None
            }
        }
    }
}

impl<A: Io, B: Io> Future for Fifo<A, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.a.arrivals.register_for_heir(cx);
        this.b.arrivals.register_for_heir(cx);
        loop {
            this.a.poll_keep(cx);
            this.b.poll_keep(cx);
            // Those of one side that are still in its stack find their partners there, too.
            let gives = this.a.give_to_heir() & this.b.give_to_heir();
            while let Some((_, answers)) = this.asking.poll_next(cx) {
                if let Some((a, b)) = answers {
                    this.a.put_back_if_alive(a);
                    this.b.put_back_if_alive(b);
                }
            }
            let is_exhausted = this.asking.is_empty()
                && match gives {
                    true => this.a.is_exhausted() && this.b.is_exhausted(),
                    false => this.a.is_exhausted() || this.b.is_exhausted(),
                };
            if is_exhausted || this.demand.poll(cx).is_err() {
                return Poll::Ready(());
            }
            if this.demand.is_requested()
                && let Some((a, b)) = this.take_oldest()
            {
                if let Ok((a, b)) = this.asking.ask(a, b) {
                    this.demand.send(Pair::new(a.leave(), b.leave()));
                }
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
            waiting: WaitingSet::new(policy, counts.clone()).sharing_slots(),
        }
    }

    /// Takes in the connections that have come, removes those that are gone or have waited too long.
    fn poll_keep(&mut self, cx: &mut Context<'_>) {
        while let Some(arrival) = self.arrivals.poll_next(cx) {
            if let Ok(waiting) = self.waiting.enter(arrival, ()) {
                let info = waiting.info();
                tracing::debug!(side = info.side.map(tracing::field::display),
                    conn = info.id.get(), peer = %info.peer_name(), "waits for a partner");
                if !waiting.is_open() {
                    let number = waiting.number();
                    drop(self.waiting.free_slot(number));
                }
            }
        }
        for change in self.waiting.poll_keep(cx) {
            if let Change::Ended(number) = change {
                drop(self.waiting.free_slot(number));
            }
        }
    }

    /// Takes the live connection that has waited longest.
    fn take_oldest(&mut self) -> Option<Waiting<I, ()>> {
        loop {
            if let Ok(oldest) = self.waiting.take_oldest()? {
                return Some(oldest);
            }
        }
    }

    /// Gives the connections to the pairing that takes them over. Is there one?
    fn give_to_heir(&mut self) -> bool {
        let Some(heir) = self.arrivals.heir() else {
            return false;
        };
        while let Some(waiting) = self.take_oldest() {
            heir.give(waiting.leave());
        }
        true
    }

    fn put_back(&mut self, waiting: Waiting<I, ()>) {
        if let Ok(waiting) = self.waiting.put_back(waiting)
            && !waiting.is_open()
        {
            let number = waiting.number();
            drop(self.waiting.free_slot(number));
        }
    }

    fn put_back_if_alive(&mut self, Answer { waiting, is_alive }: Answer<Waiting<I, ()>>) {
        match is_alive {
            true => self.put_back(waiting),
            false => drop(self.waiting.vanished(waiting)),
        }
    }

    /// Whether no connection waits and none can come.
    fn is_exhausted(&self) -> bool {
        self.arrivals.are_over() && self.waiting.is_empty()
    }
}
