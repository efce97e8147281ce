//! A writer that all pairs share.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::records::Records;

/// The writer of a log, record by record.
#[derive(derive_more::Debug)]
#[debug("Writer")]
pub(crate) struct Shared<W: ?Sized> {
    /// The log's name, for the report of a failed write.
    name: &'static str,
    state: Mutex<State<W>>,
}

struct State<W: ?Sized> {
    /// The number of records lost since the writer failed.
    missing: u64,
    failed: bool,
    records: Records<W>,
}

// ===== impl Shared =====

impl<W: io::Write> Shared<W> {
    pub(crate) const fn new(name: &'static str, to: W) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                missing: 0,
                failed: false,
                records: Records::new(to),
            }),
        }
    }
}

impl<W: io::Write + ?Sized> Shared<W> {
    /// Writes a whole record at once. A failure is reported once, and the number of lost records when the
    /// writer works again; the relay goes on.
    pub(crate) fn write(&self, record: &str) {
        let mut state = self.state();
        let (result, missing) = match state.records.write(record.as_bytes()) {
            Ok(()) => {
                state.failed = false;
                (Ok(()), std::mem::take(&mut state.missing))
            }
            Err(error) => {
                state.missing += 1;
                let first = !std::mem::replace(&mut state.failed, true);
                (if first { Err(error) } else { Ok(()) }, 0)
            }
        };
        // Unlocked before the report, which may go to this writer itself.
        drop(state);
        if let Err(error) = result {
            tracing::warn!(%error, "the {} can't be written", self.name);
        }
        if missing > 0 {
            tracing::warn!(
                records = missing,
                "the {} is incomplete: it could not be written",
                self.name
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        // A writer that panicked in another session's task is tried again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
