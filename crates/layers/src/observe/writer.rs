//! A writer that all pairs share.

use std::{
    fmt, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What logs are written to, record by record.
pub(crate) struct Shared<W: ?Sized> {
    /// What it is, for the report that it can't be written.
    name: &'static str,
    reported: AtomicBool,
    to: Mutex<W>,
}

// ===== impl Shared =====

impl<W> Shared<W> {
    pub(crate) const fn new(name: &'static str, to: W) -> Self {
        Self {
            name,
            reported: AtomicBool::new(false),
            to: Mutex::new(to),
        }
    }
}

impl<W: io::Write + ?Sized> Shared<W> {
    /// Writes a record at once. An error is reported the first time, and the relay goes on.
    pub(crate) fn write(&self, record: &str) {
        // A writer that panicked in another session's task is tried again.
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let result = to.write_all(record.as_bytes());
        // Unlocked before the report, which may itself come to this writer.
        drop(to);
        if let Err(error) = result
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(error = %error, "the {} can't be written and is incomplete", self.name);
        }
    }
}

impl<W: ?Sized> fmt::Debug for Shared<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
