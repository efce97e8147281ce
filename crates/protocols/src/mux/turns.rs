//! Which stream of a carrier may write next.
//!
//! yamux has a queue of frames for each stream. Where a thousand of them are full, each frame has left the
//! processor's caches when its turn comes. So a stream writes only while little of all waits to leave, and the
//! streams take turns.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::frames::Data;

/// While so much waits to leave, no stream writes, not even one that has its turn.
const MUCH: isize = 256 * 1024;

/// From here on the next stream has its turn.
const LITTLE: isize = MUCH / 2;

/// The stream that is the carrier's own: the first.
const OWN: u32 = 1;

/// What a stream may write when it has its turn: that it could read so much was paid for, too.
const TURN: usize = 128 * 1024;

/// The turns of a carrier's streams.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What was handed to yamux and is not on its way yet. It may be told first that it is on its way.
    queued: isize,
    /// What those that were given their turn are about to write.
    promised: isize,
    /// May name streams that are gone.
    order: VecDeque<u32>,
    turns: HashMap<u32, Turn>,
    ended: bool,
}

#[derive(Debug)]
struct Turn {
    /// So many bytes may be written, once it is there.
    left: usize,
    waits: Option<Waker>,
    /// What it was asked for, until that is written.
    asked: isize,
}

/// A stream's part in it, until it is dropped.
#[derive(Debug)]
pub(super) struct OfStream {
    turns: Arc<Turns>,
    stream: u32,
}

// ===== impl Turns =====

impl Turns {
    pub(super) fn of(self: &Arc<Self>, stream: u32) -> OfStream {
        let turns = Arc::clone(self);
        OfStream { turns, stream }
    }

    /// Data of a stream is on its way.
    pub(super) fn left(&self, data: Data) {
        // The carrier's own stream takes no turns.
        if data.stream != OWN {
            self.state().queued -= data.len as isize;
        }
    }

    /// Gives the next streams their turns, as many as make little to send. The carrier's task is to do so each time
    /// it has sent what it could; if that was all, it is woken for those that wait.
    pub(super) fn give(&self, cx: &mut Context<'_>) {
        let state = &mut *self.state();
        // Those that were given a turn may have nothing more to say.
        let mut is_due = state.queued <= 0;
        while (is_due || state.queued + state.promised < LITTLE)
            && let Some(next) = state.order.pop_front()
        {
            if let Some(turn) = state.turns.get_mut(&next)
                && let Some(waker) = turn.waits.take()
            {
                state.promised += turn.asked;
                is_due = false;
                waker.wake();
            }
        }
        if state.queued <= 0 && !state.order.is_empty() {
            cx.waker().wake_by_ref();
        }
    }

    /// The carrier has ended: all may see that.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.order.clear();
        state.promised = 0;
        for turn in std::mem::take(&mut state.turns).into_values() {
            if let Some(waker) = turn.waits {
                waker.wake();
            }
        }
    }

    // Nothing in there panics half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl OfStream =====

impl OfStream {
    /// Ready when the stream may write so many bytes.
    pub(super) fn poll_turn(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        let state = &mut *self.turns.state();
        let Some(turn) = state.turns.get_mut(&self.stream) else {
            if state.ended || (state.order.is_empty() && state.queued < MUCH) {
                return Poll::Ready(());
            }
            let turn = Turn {
                left: TURN,
                waits: Some(cx.waker().clone()),
                asked: bytes as isize,
            };
            state.turns.insert(self.stream, turn);
            state.order.push_back(self.stream);
            return Poll::Pending;
        };
        if let Some(waker) = &mut turn.waits {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        state.promised -= std::mem::take(&mut turn.asked);
        if state.queued >= MUCH {
            turn.waits = Some(cx.waker().clone());
            turn.asked = bytes as isize;
            state.order.push_front(self.stream);
            return Poll::Pending;
        }
        turn.left = turn.left.saturating_sub(bytes);
        if turn.left == 0 {
            state.turns.remove(&self.stream);
        }
        Poll::Ready(())
    }

    /// yamux has taken so many bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.turns.state().queued += bytes as isize;
    }
}

impl Drop for OfStream {
    fn drop(&mut self) {
        let state = &mut *self.turns.state();
        if let Some(turn) = state.turns.remove(&self.stream)
            && turn.waits.is_none()
        {
            state.promised -= turn.asked;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    const MUCH: usize = super::MUCH as usize;

    fn data(stream: u32, len: usize) -> Data {
        let opens = false;
        Data { stream, opens, len }
    }

    #[test]
    fn streams_take_turns_while_much_waits_to_leave() {
        let turns = Arc::<Turns>::default();
        let streams = [3, 5, 7, 9].map(|stream| turns.of(stream));
        let mut tasks = [(); 4].map(|()| task::spawn(()));
        let mut asks =
            |one: usize| tasks[one].enter(|cx, _| streams[one].poll_turn(cx, TURN / 2).is_ready());
        // Little waits: all may write.
        assert!(asks(0) && asks(1));
        streams[0].wrote(MUCH);
        assert!(!asks(1) && !asks(2) && !asks(0) && !asks(1));
        let mut carrier = task::spawn(());
        let mut give = |turns: &Turns| carrier.enter(|cx, _| turns.give(cx));
        give(&turns);
        turns.left(data(3, MUCH / 2));
        give(&turns);
        assert!(!asks(1), "as much is left as may be");
        // Of the carrier's own stream nothing was counted.
        turns.left(data(1, 1000));
        give(&turns);
        assert!(!asks(1));
        turns.left(data(3, 1));
        give(&turns);
        // The first to ask is the first to write, and not more than its turn.
        assert!(!asks(2) && asks(1) && asks(1) && !asks(1));
        give(&turns);
        assert!(!asks(0) && asks(2));
        // It asked again meanwhile, and so is behind the other.
        give(&turns);
        assert!(!asks(1) && asks(0));
        give(&turns);
        assert!(asks(1));
        // None waits: a newcomer need not either.
        assert!(asks(3));
    }

    #[test]
    fn a_stream_that_does_not_use_its_turn_holds_up_no_other() {
        let turns = Arc::<Turns>::default();
        let streams: Vec<_> = (0..10).map(|stream| turns.of(2 * stream + 3)).collect();
        streams[0].wrote(MUCH);
        let mut tasks: Vec<_> = streams
            .iter()
            .map(|stream| {
                let ask = |stream: &OfStream, cx: &mut Context<'_>| stream.poll_turn(cx, TURN);
                let mut task = task::spawn(std::future::poll_fn(move |cx| ask(stream, cx)));
                assert_pending!(task.poll());
                task
            })
            .collect();
        drop(turns.of(5));
        turns.left(data(3, MUCH));
        let mut carrier = task::spawn(());
        carrier.enter(|cx, _| turns.give(cx));
        // The carrier's task comes again for each, and only so often.
        let mut gives = 1;
        while carrier.is_woken() {
            carrier.enter(|cx, _| turns.give(cx));
            gives += 1;
        }
        assert_eq!(gives, 9, "one of ten has gone");
        for (number, task) in tasks.iter_mut().enumerate() {
            assert_eq!(task.is_woken(), number != 1);
        }
    }

    #[test]
    fn no_more_turns_are_given_than_make_little_to_send() {
        let turns = Arc::<Turns>::default();
        let streams = [3, 5, 7].map(|stream| turns.of(stream));
        let mut tasks = [(); 3].map(|()| task::spawn(()));
        streams[0].wrote(MUCH);
        let mut ask =
            |one: usize| tasks[one].enter(|cx, _| streams[one].poll_turn(cx, TURN / 2).is_ready());
        for one in 0..3 {
            assert!(!ask(one));
        }
        let mut carrier = task::spawn(());
        turns.left(data(3, MUCH - 1));
        carrier.enter(|cx, _| turns.give(cx));
        assert!(!carrier.is_woken(), "it is, once that has left");
        assert_eq!(turns.state().promised, TURN as isize);
        assert!(!ask(2) && ask(0));
        // What others have written meanwhile goes first, and then it is the first.
        streams[0].wrote(MUCH);
        assert!(!ask(1));
        turns.left(data(3, MUCH / 2 + 2));
        carrier.enter(|cx, _| turns.give(cx));
        assert!(!ask(2) && ask(1));
        assert_eq!(turns.state().promised, 0);
        turns.left(data(3, MUCH / 2));
        carrier.enter(|cx, _| turns.give(cx));
        drop(streams);
        assert_eq!(turns.state().promised, 0);
    }

    #[test]
    fn at_the_end_of_the_carrier_all_streams_are_told() {
        let turns = Arc::<Turns>::default();
        let (one, other) = (turns.of(3), turns.of(5));
        one.wrote(MUCH);
        let mut waits = task::spawn(std::future::poll_fn(|cx| other.poll_turn(cx, 1)));
        assert_pending!(waits.poll());
        turns.end();
        assert!(waits.is_woken());
        assert_ready!(waits.poll());
    }
}
