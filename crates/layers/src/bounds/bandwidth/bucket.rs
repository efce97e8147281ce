use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use couplet_pairing::Scope;
use tokio::time::{Instant, Sleep};

use super::ByteRate;

const NANOS: u128 = 1_000_000_000;

/// Bytes that may pass, which become more with time, and the line of sessions that wait for them.
///
/// What is free and what is set aside are never more than a burst: so whatever waits elsewhere with
/// bytes set aside here, no more than a burst passes at once.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: ByteRate,
    scope: Scope,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Billionths of a byte, besides.
    part: u128,
    set_aside: u64,
    refilled: Instant,
    /// By their tickets, which go up.
    line: VecDeque<(u64, Waker)>,
    next_ticket: u64,
}

/// What one direction of a pair has to do with a bucket. To be [settled](Bucket::settle) before it
/// is dropped.
#[derive(Debug, Default)]
pub(super) struct Lane {
    set_aside: u32,
    /// Its place in the line.
    ticket: Option<u64>,
    /// Of the first in line alone.
    timer: Option<Pin<Box<Sleep>>>,
}

// ===== impl Bucket =====

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: ByteRate, scope: Scope) -> Self {
        let state = State {
            free: rate.most_at_once(),
            part: 0,
            set_aside: 0,
            refilled: Instant::now(),
            line: VecDeque::new(),
            next_ticket: 0,
        };
        Self {
            rate,
            scope,
            state: Mutex::new(state),
        }
    }

    /// A number for a [`Scope`].
    pub(super) fn number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// Sets bytes aside when it is the lane's turn.
    pub(super) fn poll_reserve(
        &self,
        lane: &mut Lane,
        cx: &mut Context<'_>,
        most: u32,
    ) -> Poll<u32> {
        loop {
            let mut state = self.refilled();
            let others = state.line.len() - usize::from(lane.ticket.is_some());
            let wanted = self.rate.turn_among(others).min(most);
            let first = state.is_first(lane.ticket);
            if first && state.free >= wanted.into() {
                state.free -= u64::from(wanted);
                state.set_aside += u64::from(wanted);
                state.leave(lane.ticket);
                let next = state.first();
                drop(state);
                *lane = Lane {
                    set_aside: wanted,
                    ..Lane::default()
                };
                next.wake();
                return Poll::Ready(wanted);
            }
            lane.ticket = Some(state.wait(lane.ticket, cx.waker()));
            let due = match first {
                true => state.due(self.rate, wanted),
                false => None,
            };
            drop(state);
            // Without a time it is woken by the session before it, or by one that gives bytes back.
            let Some(due) = due else {
                lane.timer = None;
                return Poll::Pending;
            };
            let timer = lane
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Of what was set aside, so many bytes were used; the lane waits no more.
    pub(super) fn settle(&self, lane: &mut Lane, used: u32) {
        let lane = std::mem::take(lane);
        if lane.set_aside == 0 && lane.ticket.is_none() {
            return;
        }
        let mut state = self.refilled();
        // What is set aside may have kept others from what they need.
        let kept = state.due(self.rate, self.rate.turn()).is_none();
        let was_first = lane.ticket.is_some() && state.is_first(lane.ticket);
        state.set_aside -= u64::from(lane.set_aside);
        state.free += u64::from(lane.set_aside - used);
        state.leave(lane.ticket);
        if used < lane.set_aside || was_first || kept {
            let first = state.first();
            drop(state);
            first.wake();
        }
    }

    /// Is it as good as new?
    pub(super) fn is_full(&self) -> bool {
        self.refilled().free == self.rate.most_at_once()
    }

    fn refilled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no holder panics");
        state.refill(self.rate);
        state
    }
}

// ===== impl State =====

impl State {
    fn refill(&mut self, rate: ByteRate) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.refilled);
        self.refilled = now;
        let more = elapsed.as_nanos() * u128::from(rate.bytes_per_second()) + self.part;
        let room = rate.most_at_once() - self.set_aside - self.free;
        if more / NANOS >= room.into() {
            self.free += room;
            self.part = 0;
        } else {
            // Less than the room, so it fits.
            self.free += (more / NANOS) as u64;
            self.part = more % NANOS;
        }
    }

    /// When so many bytes will be free if nobody does anything, if ever.
    fn due(&self, rate: ByteRate, wanted: u32) -> Option<Instant> {
        let wanted = u64::from(wanted);
        if wanted > rate.most_at_once() - self.set_aside {
            return None;
        }
        let missing = u128::from(wanted.saturating_sub(self.free)) * NANOS;
        let nanos = missing
            .saturating_sub(self.part)
            .div_ceil(rate.bytes_per_second().into());
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.refilled.checked_add(wait)
    }

    /// Is it the turn of the session with this ticket, or of one without?
    fn is_first(&self, ticket: Option<u64>) -> bool {
        match (self.line.front(), ticket) {
            (None, _) => true,
            (Some((first, _)), Some(ticket)) => *first == ticket,
            (Some(_), None) => false,
        }
    }

    /// Takes a place in the line, or keeps it.
    fn wait(&mut self, ticket: Option<u64>, waker: &Waker) -> u64 {
        if let Some(place) = self.place(ticket) {
            let (ticket, before) = &mut self.line[place];
            before.clone_from(waker);
            return *ticket;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back((ticket, waker.clone()));
        ticket
    }

    fn leave(&mut self, ticket: Option<u64>) {
        if let Some(place) = self.place(ticket) {
            self.line.remove(place);
        }
    }

    fn place(&self, ticket: Option<u64>) -> Option<usize> {
        let ticket = ticket?;
        self.line.binary_search_by_key(&ticket, |at| at.0).ok()
    }

    /// To be woken once the lock is released.
    fn first(&self) -> First {
        First(self.line.front().map(|(_, waker)| waker.clone()))
    }
}

/// Whose turn it is now.
#[must_use]
struct First(Option<Waker>);

impl First {
    fn wake(self) {
        if let Some(waker) = self.0 {
            waker.wake();
        }
    }
}
