//! Log lines for people, in tracing's own form.

use std::fmt;

use couplet_connector::endpoint::RelayName;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer, format},
        time::SystemTime,
    },
    registry::LookupSpan,
};

use super::is_coloured;

/// Writes each event, and behind it the relay that it is of, where several run.
pub(super) struct TextLines(Format<Full, SystemTime>);

// ===== impl TextLines =====

impl TextLines {
    /// Is the module named that an event is from?
    pub(super) fn new(with_module: bool) -> Self {
        let lines = format().with_ansi(is_coloured());
        Self(lines.with_target(with_module))
    }
}

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let relay = RelayName::current();
        let Some(relay) = relay.as_str().filter(|_| !has_relay(event)) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let (begin, equals, end) = match writer.has_ansi_escapes() {
            true => ("\x1b[3m", "\x1b[0m\x1b[2m=", "\x1b[0m"),
            false => ("", "=", ""),
        };
        let line = line.trim_end_matches('\n');
        writeln!(writer, "{line} {begin}relay{equals}{end}{relay}")
    }
}

/// Does the event name a relay by itself?
fn has_relay(event: &Event<'_>) -> bool {
    event.metadata().fields().field("relay").is_some()
}
