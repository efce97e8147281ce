use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Colour;

/// The target of what goes to `tracing`.
pub(super) const TARGET: &str = "couplet::traffic";

/// Where records go.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    Tracing,
    Writer(Arc<Writer<dyn io::Write + Send>>),
}

pub(super) struct Writer<W: ?Sized> {
    /// What [`Colour::Auto`] means for it.
    auto: Colour,
    reported: AtomicBool,
    to: Mutex<W>,
}

// ===== impl Sink =====

impl Sink {
    pub(super) fn writer(to: impl io::Write + Send + 'static, auto: Colour) -> Self {
        Self::Writer(Arc::new(Writer {
            auto,
            reported: AtomicBool::new(false),
            to: Mutex::new(to),
        }))
    }

    /// The colour that is meant: [`Colour::Always`] or [`Colour::Never`].
    pub(super) fn colour(&self, wanted: Colour) -> Colour {
        match (self, wanted) {
            (Self::Tracing, _) => Colour::Never,
            (Self::Writer(writer), Colour::Auto) => writer.auto,
            (Self::Writer(_), wanted) => wanted,
        }
    }

    /// Would somebody see a record?
    pub(super) fn is_enabled(&self) -> bool {
        match self {
            Self::Tracing => tracing::enabled!(target: TARGET, tracing::Level::INFO),
            Self::Writer(_) => true,
        }
    }
}

// ===== impl Writer =====

impl<W: io::Write + ?Sized> Writer<W> {
    /// Writes a record at once. An error is reported the first time, and the relay goes on.
    pub(super) fn write(&self, record: &str) {
        // A writer that panicked in another session's task is tried again.
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let result = to.write_all(record.as_bytes());
        // Unlocked before the report, which may itself come to this writer.
        drop(to);
        if let Err(error) = result
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(error = %error, "the traffic log can't be written and is incomplete");
        }
    }
}

impl<W: ?Sized> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
