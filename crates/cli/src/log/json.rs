//! Log lines as JSON, an object a line: see docs/logs.md.

use std::fmt;

use couplet_connector::{endpoint::RelayName, layers::observe::json_line};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Writes each event as an object in which each key is there once, and a number is a number.
pub(super) struct JsonLines {
    /// Is the module named that an event is from?
    pub(super) with_module: bool,
}

/// The members of an object, in order.
#[derive(Default)]
struct Members(Vec<(&'static str, Value)>);

// ===== impl JsonLines =====

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = humantime::format_rfc3339_micros(std::time::SystemTime::now());
        let mut members = Members::default();
        members.set("time", time.to_string().into());
        members.set("level", event.metadata().level().as_str().into());
        if self.with_module {
            members.set("module", event.metadata().target().into());
        }
        event.record(&mut members);
        if let Some(relay) = RelayName::current().as_str() {
            members.set("relay", relay.into());
        }
        writeln!(writer, "{}", json_line(&members))
    }
}

// ===== impl Members =====

impl Members {
    /// A name that is there already keeps its value: an event's field replaces nothing.
    fn set(&mut self, name: &'static str, value: Value) {
        if self.0.iter().all(|(there, _)| *there != name) {
            self.0.push((name, value));
        }
    }
}

impl Visit for Members {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.set(field.name(), value.into());
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What the lines of these events are.
    fn lines(events: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let to = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || to.clone())
            .event_format(JsonLines { with_module: true });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    /// Whatever an event calls its fields.
    #[test]
    fn each_name_is_there_once_and_a_number_is_a_number() {
        let line = lines(|| {
            RelayName::new("x").in_scope(|| {
                tracing::info!(
                    level = 7,
                    module = "m",
                    relay = "y",
                    session = 1_u64,
                    "said"
                );
            });
        });
        for name in ["time", "level", "module", "relay", "session", "message"] {
            assert_eq!(line.matches(&format!("\"{name}\":")).count(), 1, "{line}");
        }
        for member in [
            r#""level":"INFO""#,
            r#""relay":"y""#,
            r#""session":1"#,
            r#""message":"said""#,
        ] {
            assert!(line.contains(member), "no {member}: {line}");
        }
    }
}
