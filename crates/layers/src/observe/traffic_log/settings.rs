use std::time::SystemTime;

use super::{Colour, sink::Sink};
use crate::observe::redact::Redact;

/// How bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Hex,
    #[cfg(feature = "json")]
    Json,
}

/// What the layer and each direction's log are told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) format: Format,
    /// How many bytes of each direction are shown.
    pub(super) limit: u64,
    pub(super) redact: Redact,
    pub(super) sink: Sink,
    pub(super) colour: Colour,
    pub(super) clock: fn() -> SystemTime,
}

// ===== impl Settings =====

impl Settings {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            format,
            limit: u64::MAX,
            redact: Redact::NOTHING,
            sink: Sink::Tracing,
            colour: Colour::Auto,
            clock: SystemTime::now,
        }
    }

    /// The time, as RFC 3339 has it. A time before its epoch can't be written, and a log never breaks
    /// a relay.
    pub(super) fn time(&self) -> String {
        let time = (self.clock)().max(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_micros(time).to_string()
    }
}
