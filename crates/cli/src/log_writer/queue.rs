use std::{
    io::Write,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::time::Instant;

use super::log::Log;

/// Lines on their way to the thread that writes them.
pub(super) struct Queue {
    /// For the report that it is incomplete.
    pub(super) log: Log,
    bounds: Bounds,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How many bytes may wait to be written.
    pub(super) room: usize,
    /// How long all threads together wait for room, for each `room` bytes that were written.
    pub(super) patience: Duration,
    /// How long after a failure the writer is tried again.
    pub(super) retry: Duration,
}

struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// Lines that would come behind those that wait.
    dropped: usize,
    /// How long threads may still wait for room.
    patience: Duration,
    /// The thread has lines that are not written yet.
    writing: bool,
    /// How often something was written.
    written: u64,
    /// The writer fails: no thread waits for it.
    failing: bool,
    /// Lines were dropped while the writer failed.
    failed: bool,
    /// The program ends.
    finishing: bool,
    /// Where lines go from the next on.
    target: Option<Target>,
    has_thread: bool,
    writer: Option<ThreadId>,
}

pub(super) type Target = Box<dyn Write + Send>;

/// What the thread does next.
pub(super) struct Work {
    pub(super) lines: Vec<u8>,
    /// Where these lines go, if that has changed.
    pub(super) target: Option<Target>,
    /// How many lines are missing behind these.
    pub(super) dropped: usize,
    /// They are missing because the writer failed.
    pub(super) failed: bool,
}

/// What the thread does when the writer has failed.
pub(super) enum Retry {
    Again,
    Elsewhere(Target),
    /// The program ends.
    AgainAndThenGiveUp,
}

// ===== impl Queue =====

impl Queue {
    pub(super) fn new(log: Log, bounds: Bounds) -> Self {
        Self {
            log,
            bounds,
            state: Mutex::new(State {
                waiting: Vec::new(),
                dropped: 0,
                patience: bounds.patience,
                writing: false,
                written: 0,
                failing: false,
                failed: false,
                finishing: false,
                target: None,
                has_thread: false,
                writer: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Returns whether there is a thread that writes.
    pub(super) fn set_target(&self, target: Target) -> bool {
        self.change(|state| {
            state.target = Some(target);
            mem::replace(&mut state.has_thread, true)
        })
    }

    pub(super) fn set_writer(&self, thread: ThreadId) {
        self.change(|state| state.writer = Some(thread));
    }

    /// Takes the record, or drops it if there is no room for it in time.
    pub(super) fn push(&self, record: &[u8]) {
        let room = self.bounds.room;
        let mut state = self.state();
        // The thread that writes tells of what was dropped, and can't wait for itself.
        let is_writer = state.writer == Some(thread::current().id());
        while !is_writer && state.may_wait() && !state.has_room(record, room) {
            let (before, since) = (state.written, Instant::now());
            let patience = state.patience;
            let unchanged = |state: &mut State| state.written == before && !state.failing;
            let waited = self
                .changed
                .wait_timeout_while(state, patience, unchanged)
                .unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            state.patience = state.patience.saturating_sub(since.elapsed());
        }
        if is_writer || state.has_room(record, room) {
            state.waiting.extend_from_slice(record);
        } else {
            self.drops(&mut state, record);
            state.failed |= state.failing;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until every line is written or given up, or for this long. Returns how many are missing.
    pub(super) fn finish(&self, within: Duration) -> usize {
        self.change(|state| state.finishing = true);
        let unwritten =
            |state: &mut State| state.has_thread && (state.writing || !state.waiting.is_empty());
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), within, unwritten)
            .unwrap_or_else(PoisonError::into_inner);
        state.dropped + lines(&state.waiting)
    }

    /// For the thread: waits for lines, or for another target.
    pub(super) fn next(&self) -> Work {
        let nothing = |state: &mut State| state.waiting.is_empty() && state.target.is_none();
        let state = self.changed.wait_while(self.state(), nothing);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        // At the end of the program, `finish` tells how many are missing.
        let dropped = match state.finishing {
            true => 0,
            false => mem::take(&mut state.dropped),
        };
        Work {
            lines: mem::take(&mut state.waiting),
            target: state.target.take(),
            dropped,
            failed: mem::take(&mut state.failed),
        }
    }

    /// For the thread: this many bytes are written.
    pub(super) fn written(&self, bytes: usize) {
        let Bounds { room, patience, .. } = self.bounds;
        let regained = patience.mul_f64(bytes as f64 / room as f64);
        self.change(|state| {
            state.written += 1;
            state.failing = false;
            state.patience = (state.patience + regained).min(patience);
        });
    }

    /// For the thread: all that it had is written.
    pub(super) fn idle(&self) {
        self.change(|state| state.writing = false);
    }

    /// For the thread: these lines are given up.
    pub(super) fn given_up(&self, lost: &[u8]) {
        self.change(|state| self.drops(state, lost));
    }

    /// For the thread: the writer fails. Waits until it is to be tried again.
    pub(super) fn wait_to_retry(&self) -> Retry {
        self.change(|state| state.failing = true);
        let hold = |state: &mut State| !state.finishing && state.target.is_none();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.state(), self.bounds.retry, hold)
            .unwrap_or_else(PoisonError::into_inner);
        match state.target.take() {
            Some(target) => Retry::Elsewhere(target),
            None if state.finishing => Retry::AgainAndThenGiveUp,
            None => Retry::Again,
        }
    }

    /// Counts the lines, of which a report tells later.
    fn drops(&self, state: &mut State, lost: &[u8]) {
        let lines = lines(lost);
        state.dropped += lines;
        self.log.loses(lines);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_all();
        changed
    }

    #[cfg(test)]
    pub(super) fn dropped(&self) -> usize {
        self.state().dropped
    }

    #[cfg(test)]
    pub(super) fn is_failing(&self) -> bool {
        self.state().failing
    }

    #[cfg(test)]
    pub(super) fn patience(&self) -> Duration {
        self.state().patience
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            room: 1 << 20,
            patience: Duration::from_millis(250),
            retry: Duration::from_millis(500),
        }
    }
}

// ===== impl State =====

impl State {
    fn may_wait(&self) -> bool {
        !self.failing && !self.patience.is_zero()
    }

    /// A record that alone is more than there is room for has the room to itself; behind a line that
    /// was dropped none is taken.
    fn has_room(&self, record: &[u8], room: usize) -> bool {
        let fits = self.waiting.is_empty() || self.waiting.len() + record.len() <= room;
        fits && self.dropped == 0
    }
}

/// How many lines these are.
pub(super) fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
