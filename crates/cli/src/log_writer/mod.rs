//! A queue between the relay's threads, which must not wait for the reader of a log, and a thread
//! that writes the log.

mod log;
mod queue;
#[cfg(test)]
mod tests;
mod thread;

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, LazyLock},
    time::Duration,
};

use couplet_connector::endpoint::RelayName;

pub(crate) use self::log::Log;

use self::queue::{Bounds, Queue};

/// How long the end of the program waits for a log's reader.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The writer of a log: takes whole lines, in order, and never blocks for long. Clones share the log.
///
/// Up to 1 MiB of lines waits to be written. While there is no room, a thread that writes waits, but
/// all threads together no longer than 250 ms for each MiB that the reader takes: a reader that is
/// nearly as fast as the relay gets every line, and one that is slow or has stalled holds up nothing.
/// Lines beyond that are dropped, and the log tells how many when it goes on.
///
/// A file that can't be written, because its disk is full for instance, is tried again; meanwhile
/// lines wait or are dropped as above, but no thread waits. No line is ever cut.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Queue>);

// ===== impl LogWriter =====

impl LogWriter {
    /// Nothing is written before the log is [opened](Self::open).
    pub(crate) fn new(log: Log) -> Self {
        Self::bounded(log, Bounds::default())
    }

    /// The log on standard error. All that goes there is in order.
    pub(crate) fn stderr() -> Self {
        static STDERR: LazyLock<LogWriter> = LazyLock::new(|| LogWriter::new(Log::Own));
        STDERR.clone()
    }

    fn bounded(log: Log, bounds: Bounds) -> Self {
        Self(Arc::new(Queue::new(log, bounds)))
    }

    /// Writes there from now on.
    pub(crate) fn open(&self, to: impl Write + Send + 'static) -> io::Result<()> {
        if self.0.set_target(Box::new(to)) {
            return Ok(());
        }
        let (queue, relay) = (Arc::clone(&self.0), RelayName::current());
        let thread = std::thread::Builder::new().name(self.0.log.name().into());
        let thread = thread.spawn(move || relay.in_scope(|| thread::run(&queue)))?;
        self.0.set_writer(thread.thread().id());
        Ok(())
    }

    /// Waits until every line is written, but not for a reader that has stalled or a disk that is
    /// full. Returns how many lines are missing at the end. For the end of the program.
    pub(crate) fn finish(&self) -> usize {
        self.0.finish(LAST_PATIENCE)
    }
}

/// Each write is a record, of whole lines.
impl Write for LogWriter {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.push(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogWriter").field(&self.0.log).finish()
    }
}
