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

/// A token bucket of bytes, and the queue of sessions that wait for bytes.
///
/// Free and reserved bytes together are never more than a burst. So no more than a burst passes at
/// once, even if a session waits elsewhere with bytes reserved here.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: ByteRate,
    scope: Scope,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Free billionths of a byte.
    part: u128,
    set_aside: u64,
    refilled: Instant,
    /// The waiting sessions, by rising tickets.
    line: VecDeque<(u64, Waker)>,
    next_ticket: u64,
}

/// One direction of a pair at a bucket. It must be [settled](Bucket::settle) before it is dropped.
#[derive(Debug, Default)]
pub(super) struct Lane {
    set_aside: u32,
    /// The place in the queue.
    ticket: Option<u64>,
    /// The timer; only the first in the queue has one.
    timer: Option<Pin<Box<Sleep>>>,
}

// ===== impl Bucket =====

impl Bucket {
    /// A full bucket.
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

    /// Reserves bytes when it is the lane's turn.
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
            // Without a timer the session before it wakes it, or one that gives bytes back.
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

    /// Takes `used` of the reserved bytes, and gives the rest back; the lane leaves the queue.
    pub(super) fn settle(&self, lane: &mut Lane, used: u32) {
        let lane = std::mem::take(lane);
        if lane.set_aside == 0 && lane.ticket.is_none() {
            return;
        }
        let mut state = self.refilled();
        // The bytes given back may be enough for another session.
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

    /// Whether the bucket is full, as a new one is.
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

    /// When `wanted` bytes will be free if no session takes any; `None` for never.
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

    /// Whether it is the turn of the session with this ticket, or of one without a ticket.
    fn is_first(&self, ticket: Option<u64>) -> bool {
        match (self.line.front(), ticket) {
            (None, _) => true,
            (Some((first, _)), Some(ticket)) => *first == ticket,
            (Some(_), None) => false,
        }
    }

    /// Takes a place in the queue, or keeps the one it has.
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

    /// The session to wake once the lock is released.
    fn first(&self) -> First {
        First(self.line.front().map(|(_, waker)| waker.clone()))
    }
}

/// The session whose turn it is now.
#[must_use]
struct First(Option<Waker>);

impl First {
    fn wake(self) {
        if let Some(waker) = self.0 {
            waker.wake();
        }
    }
}
