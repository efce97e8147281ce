use std::time::SystemTime;

use super::{Colour, sink::Sink};
use crate::observe::redact::Redact;

/// The format of a traffic log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Hex,
    #[cfg(feature = "json")]
    Json,
}

/// The settings of the layer and of each direction's log.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) format: Format,
    /// The most bytes of each direction that are shown.
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

    /// The time as in RFC 3339. A time before 1970 can't be written and becomes 1970: a log breaks no
    /// relay.
    pub(super) fn time(&self) -> String {
        let time = (self.clock)().max(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_micros(time).to_string()
    }
}
