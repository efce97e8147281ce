use std::{io, sync::Arc};

use super::Colour;
use crate::observe::writer::Shared;

/// The target of the events of `tracing`.
pub(super) const TARGET: &str = "couplet::traffic";

/// The destination of records.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    Tracing,
    Writer {
        to: Arc<Shared<dyn io::Write + Send>>,
        /// The meaning of [`Colour::Auto`] for this writer.
        auto: Colour,
    },
}

// ===== impl Sink =====

impl Sink {
    pub(super) fn writer(to: impl io::Write + Send + 'static, auto: Colour) -> Self {
        Self::Writer {
            to: Arc::new(Shared::new("traffic log", to)),
            auto,
        }
    }

    /// [`Colour::Always`] or [`Colour::Never`].
    pub(super) fn colour(&self, wanted: Colour) -> Colour {
        match (self, wanted) {
            (Self::Tracing, _) => Colour::Never,
            (Self::Writer { auto, .. }, Colour::Auto) => *auto,
            (Self::Writer { .. }, wanted) => wanted,
        }
    }

    /// Whether a record would be shown.
    pub(super) fn is_enabled(&self) -> bool {
        match self {
            Self::Tracing => tracing::enabled!(target: TARGET, tracing::Level::INFO),
            Self::Writer { .. } => true,
        }
    }
}
