//! A bounded queue between the relay's tasks, which never wait for a disk, and the thread that
//! writes.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use couplet_endpoint::RelayName;

use super::{files::Files, message::Message};

#[derive(Debug)]
pub(super) struct Queue {
    /// The most bytes that may wait.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether messages are accepted.
    active: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// The bytes that are not written yet.
    bytes: usize,
    started: bool,
    /// The thread waits for a reader of a named pipe.
    waits_for_reader: bool,
    /// No message is accepted any more.
    closed: bool,
    /// A write has failed.
    failed: bool,
    /// A message was not taken.
    overflowed: bool,
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
    pub(super) fn start(self: &Arc<Self>, files: Files) -> io::Result<()> {
        let mut state = self.state();
        if mem::replace(&mut state.started, true) {
            return Err(io::Error::other("the capture was started before"));
        }
        state.waits_for_reader = matches!(files, Files::Pipe(_));
        drop(state);
        let (queue, name) = (Arc::clone(self), RelayName::current());
        thread::Builder::new()
            .name("capture".into())
            .spawn(move || name.in_scope(|| queue.write(files)))?;
        let state = self.state();
        self.active.store(!state.closed, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the message if there is room. If not, the capture is over, because nothing would show the
    /// gap.
    pub(super) fn push(&self, message: Message) {
        if !self.is_active() {
            return;
        }
        let mut state = self.state();
        if state.closed {
            return; // Closed since the look above.
        }
        if state.bytes + message.len() > self.room {
            let unread = state.waits_for_reader;
            state.overflowed = true;
            self.end(state);
            match unread {
                true => tracing::warn!("the capture stops: no program reads the named pipe"),
                false => tracing::warn!(
                    "the capture stops: the disk, or the reader, is too slow for the traffic"
                ),
            }
            return;
        }
        state.bytes += message.len();
        state.messages.push_back(message);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether all that came was taken, and could be written so far.
    pub(super) fn is_whole(&self) -> bool {
        let state = self.state();
        !state.failed && !state.overflowed
    }

    /// Accepts no more messages.
    pub(super) fn close(&self) {
        self.end(self.state());
    }

    /// Lets the thread write the queue and close its files.
    fn end(&self, mut state: MutexGuard<'_, State>) {
        self.active.store(false, Ordering::Relaxed);
        state.closed = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything is written, at most `within`, and not for the reader of a named pipe.
    /// Returns whether everything is written.
    pub(super) fn wait(&self, within: Duration) -> bool {
        let unwritten = |state: &mut State| state.bytes > 0 && !state.waits_for_reader;
        let waited = self
            .changed
            .wait_timeout_while(self.state(), within, unwritten);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.bytes == 0 && !state.failed
    }

    fn write(&self, mut files: Files) {
        let opened = files.open_pipe();
        self.state().waits_for_reader = false;
        // A reader sees the header at once.
        if let Err(error) = opened.and_then(|()| files.flush()) {
            return self.fail(self.state(), &error);
        }
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
            match flushed {
                Err(error) => self.fail(state, &error),
                Ok(()) => drop(state),
            }
            self.changed.notify_all();
        }
    }

    fn fail(&self, mut state: MutexGuard<'_, State>, error: &io::Error) {
        state.messages.clear();
        state.bytes = 0;
        state.failed = true;
        self.end(state);
        match error.kind() {
            io::ErrorKind::BrokenPipe => {
                tracing::warn!("the capture stops: the reader has closed the pipe")
            }
            _ => tracing::warn!(%error, "the capture stops: the file can't be written"),
        }
    }

    /// All messages that wait; `None` once no more are accepted.
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

#[cfg(test)]
mod tests {
    use couplet_pairing::Pair;

    use super::*;
    use crate::testing::conn;

    #[test]
    fn a_message_after_the_stop_is_not_waited_for() {
        let queue = Queue::new(100);
        queue.close();
        // As a task sees it that has looked before.
        queue.active.store(true, Ordering::Relaxed);
        queue.push(Message::End(Pair::new(conn(()), conn(())).session.id()));
        assert!(queue.wait(Duration::ZERO));
    }
}
