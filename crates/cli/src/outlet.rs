//! Between the relay's threads, which must not wait for whoever reads a log, and a thread that
//! writes it.

use std::{
    fmt,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

/// How many bytes may wait to be written.
const ROOM: usize = 1 << 20;

/// Who has taken nothing for so long has stalled.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the end waits for who reads.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What is written at once, so that who reads slowly is told from who has stalled.
const CHUNK: usize = 4096;

/// Where lines go, in order; clones share it.
///
/// Whoever writes faster than they are read waits for the reader, so that no line is lost. If the
/// reader has stalled, lines are dropped at once, and the log tells how many when it goes on.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<Shared>);

struct Shared {
    /// What it is, for the report that it is incomplete.
    name: &'static str,
    room: usize,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    writing: bool,
    /// How often something was written.
    written: u64,
    stalled: bool,
    /// Lines that would come behind those that wait.
    dropped: usize,
    /// Where it goes from the next lines on.
    to: Option<Box<dyn Write + Send>>,
    writer: Option<ThreadId>,
}

// ===== impl Outlet =====

impl Outlet {
    /// Nothing is written before it is [opened](Self::open).
    pub(crate) fn new(name: &'static str) -> Self {
        Self::bounded(name, ROOM, PATIENCE)
    }

    /// The one to standard error: so all that goes there is in order.
    pub(crate) fn stderr() -> Self {
        static STDERR: LazyLock<Outlet> = LazyLock::new(|| Outlet::new("log"));
        STDERR.clone()
    }

    fn bounded(name: &'static str, room: usize, patience: Duration) -> Self {
        Self(Arc::new(Shared {
            name,
            room,
            patience,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Writes there from now on.
    pub(crate) fn open(&self, to: impl Write + Send + 'static) -> io::Result<()> {
        let mut state = self.0.state();
        if state.writer.is_none() {
            let shared = Arc::clone(&self.0);
            let writer = thread::Builder::new().name(self.0.name.into());
            let writer = writer.spawn(move || shared.write())?;
            state.writer = Some(writer.thread().id());
        }
        state.to = Some(Box::new(to));
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Waits until everything is written, but not for who has stalled: this is the end.
    pub(crate) fn finish(&self) {
        self.0.finish(LAST_PATIENCE);
    }
}

/// Each write is a record, of whole lines.
impl Write for Outlet {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.push(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outlet").field(&self.0.name).finish()
    }
}

// ===== impl Shared =====

impl Shared {
    fn push(&self, record: &[u8]) {
        let mut state = self.state();
        // It tells of what was dropped, and can't wait for itself.
        let is_writer = state.writer == Some(thread::current().id());
        while !is_writer && !state.stalled && !state.has_room(record, self.room) {
            let before = state.written;
            let unchanged = |state: &mut State| state.written == before && !state.stalled;
            let (next, waited) = self
                .changed
                .wait_timeout_while(state, self.patience, unchanged)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.stalled |= waited.timed_out();
        }
        if is_writer || state.has_room(record, self.room) {
            state.waiting.extend_from_slice(record);
        } else {
            state.dropped += record.iter().filter(is_newline).count();
        }
        drop(state);
        self.changed.notify_all();
    }

    fn finish(&self, within: Duration) {
        let unwritten = |state: &mut State| {
            state.writer.is_some() && (state.writing || !state.waiting.is_empty())
        };
        let waited = self
            .changed
            .wait_timeout_while(self.state(), within, unwritten);
        drop(waited);
    }

    fn write(&self) {
        let mut to: Box<dyn Write + Send> = Box::new(io::sink());
        let mut reported = false;
        loop {
            let (lines, dropped, newly_opened) = self.next();
            if let Some(newly_opened) = newly_opened {
                to = newly_opened;
                reported = false;
            }
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "the {} is incomplete: its reader had stalled",
                    self.name
                );
            }
            let mut lines = &*lines;
            while !lines.is_empty() {
                let (chunk, rest) = lines.split_at(chunk(lines));
                let written = to.write_all(chunk).and_then(|()| to.flush());
                self.change(|state| {
                    state.written += 1;
                    state.stalled = false;
                });
                if let Err(error) = written
                    && !mem::replace(&mut reported, true)
                {
                    tracing::warn!(%error, "the {} can't be written and is incomplete", self.name);
                }
                lines = rest;
            }
            self.change(|state| state.writing = false);
        }
    }

    /// All that waits, how many lines are missing behind it, and where it goes if that has changed.
    fn next(&self) -> (Vec<u8>, usize, Option<Box<dyn Write + Send>>) {
        let nothing = |state: &mut State| state.waiting.is_empty() && state.to.is_none();
        let state = self.changed.wait_while(self.state(), nothing);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        let lines = mem::take(&mut state.waiting);
        (lines, mem::take(&mut state.dropped), state.to.take())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl State =====

impl State {
    /// A record that alone is more than there is room for has the room to itself; behind a line that
    /// was dropped none is taken.
    fn has_room(&self, record: &[u8], room: usize) -> bool {
        let fits = self.waiting.is_empty() || self.waiting.len() + record.len() <= room;
        fits && self.dropped == 0
    }
}

fn is_newline(byte: &&u8) -> bool {
    **byte == b'\n'
}

/// How much of these lines is written at once: whole ones, as others may write there, too.
fn chunk(lines: &[u8]) -> usize {
    let most = &lines[..lines.len().min(CHUNK)];
    let end = most.iter().rposition(|byte| *byte == b'\n');
    end.or_else(|| lines.iter().position(|byte| *byte == b'\n'))
        .map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests;
