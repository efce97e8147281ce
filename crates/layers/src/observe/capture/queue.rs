//! Between the relay's threads, which must not wait for a disk, and the one that writes.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use couplet_pairing::SessionId;

use super::files::Files;

/// What the writing thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Packets {
        session: SessionId,
        begun: SystemTime,
        blocks: Vec<u8>,
    },
    /// Nothing more comes of this session.
    End(SessionId),
}

#[derive(Debug)]
pub(super) struct Queue {
    /// How many bytes may wait.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether anything is taken.
    active: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// Of all that is not written yet.
    bytes: usize,
    started: bool,
    /// Nothing more will come.
    closed: bool,
    /// Something could not be written.
    failed: bool,
}

// ===== impl Queue =====

impl Queue {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::default(),
            changed: Condvar::new(),
            active: AtomicBool::new(false),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Starts the thread that writes.
    pub(super) fn start(self: &Arc<Self>, mut files: Files) -> io::Result<()> {
        if mem::replace(&mut self.state().started, true) {
            return Err(io::Error::other("it was started before"));
        }
        let queue = Arc::clone(self);
        thread::Builder::new()
            .name("capture".into())
            .spawn(move || queue.write(&mut files))?;
        let state = self.state();
        self.active.store(!state.closed, Ordering::Relaxed);
        Ok(())
    }

    /// Takes it, if there is room. If not, the capture is over: what it would miss can't be told
    /// from what never was.
    pub(super) fn push(&self, message: Message) {
        if !self.is_active() {
            return;
        }
        let mut state = self.state();
        if state.closed {
            return; // It was not when we looked.
        }
        if state.bytes + message.len() > self.room {
            self.end(state);
            tracing::warn!("the capture stops: the disk is too slow for the traffic");
            return;
        }
        state.bytes += message.len();
        state.messages.push_back(message);
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.end(self.state());
    }

    /// The thread writes what waits, and lets go of its files.
    fn end(&self, mut state: MutexGuard<'_, State>) {
        self.active.store(false, Ordering::Relaxed);
        state.closed = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything is written, or for so long; is it?
    pub(super) fn wait(&self, within: Duration) -> bool {
        let state = self.state();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, within, |state| state.bytes > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.bytes == 0 && !state.failed
    }

    fn write(&self, files: &mut Files) {
        while let Some(messages) = self.next() {
            let bytes: usize = messages.iter().map(Message::len).sum();
            let written = messages
                .into_iter()
                .try_for_each(|message| files.write(message));
            let flushed = written.and_then(|()| match self.state().messages.is_empty() {
                true => files.flush(),
                false => Ok(()),
            });
            let mut state = self.state();
            state.bytes -= bytes;
            if let Err(error) = flushed {
                self.active.store(false, Ordering::Relaxed);
                state.messages.clear();
                state.bytes = 0;
                state.closed = true;
                state.failed = true;
                tracing::warn!(%error, "the capture stops: it can't be written");
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// All that waits, or nothing when nothing more will come.
    fn next(&self) -> Option<VecDeque<Message>> {
        let state = self.state();
        let mut state = self
            .changed
            .wait_while(state, |state| state.messages.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let messages = mem::take(&mut state.messages);
        (!messages.is_empty()).then_some(messages)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Message =====

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Packets { blocks, .. } => blocks.len(),
            Self::End(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_pairing::Pair;

    use super::*;
    use crate::testing::conn;

    #[test]
    fn what_comes_when_it_has_just_stopped_is_not_waited_for() {
        let queue = Queue::new(100);
        queue.close();
        // As one sees it that has looked before.
        queue.active.store(true, Ordering::Relaxed);
        queue.push(Message::End(Pair::new(conn(()), conn(())).session.id()));
        assert!(queue.wait(Duration::ZERO));
    }
}
