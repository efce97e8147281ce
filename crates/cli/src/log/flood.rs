//! Events that strangers can cause without end: beyond a rate they are counted and summed.

use std::{fmt, sync::LazyLock};

use couplet_connector::endpoint::RelayName;
use tracing::{
    Event, Level, Metadata,
    callsite::Identifier,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::layer::{Context, Filter};

use crate::sums::{Network, Sum, Sums};

/// Passes an event that names a `peer` on, as long as there are not too many of its kind from the
/// peer's network: an IPv4 address, or an IPv6 network of 64 bits. Debug events all pass.
#[derive(Clone)]
pub(super) struct Flood(Sums<Kind>);

/// What an event tells, and the relay that tells it.
type Kind = (Identifier, RelayName);

/// What an event says of its peer.
#[derive(Default)]
struct Fields {
    message: String,
    side: Option<String>,
    peer: Option<Network>,
}

// ===== impl Flood =====

impl Flood {
    /// The one of the log on standard error.
    pub(super) fn stderr() -> Self {
        static STDERR: LazyLock<Flood> = LazyLock::new(Flood::new);
        STDERR.clone()
    }

    fn new() -> Self {
        Self(Sums::new(tell))
    }

    /// Tells the sums now. For the end of the program.
    pub(super) fn tell(&self) {
        self.0.tell();
    }
}

impl<S> Filter<S> for Flood {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// All levels: with no hint, the one of the level beside it would be lost.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // A warning for each forged answer, and each look-up: what counts is in the error of the look-up.
        if metadata.target().starts_with("hickory_") && LevelFilter::current() <= LevelFilter::INFO
        {
            return false;
        }
        if *metadata.level() > Level::INFO || metadata.fields().field("peer").is_none() {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(peer) = fields.peer else {
            return true;
        };
        let (message, relay) = (|| fields.message, RelayName::current());
        self.0
            .count((metadata.callsite(), relay), fields.side, peer, message)
    }
}

/// Tells what was counted and not shown.
fn tell(sum: Sum<Kind>) {
    match sum {
        Sum::Of {
            key,
            message,
            count,
        } => key.kind.1.in_scope(|| {
            tracing::info!(
                side = key.side,
                network = key.network.map(tracing::field::display),
                count,
                "{message}: more of the same"
            );
        }),
        Sum::Rest { networks, count } => {
            tracing::info!(networks, count, "more of the same from other networks");
        }
    }
}

// ===== impl Fields =====

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "side" => self.side = Some(value.to_owned()),
            "peer" => self.peer = Network::of(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Layer, layer::SubscriberExt};

    use super::*;
    use crate::sums::TOLD;

    /// What a log shows of what `what` does, sums included.
    fn shown(flood: &Flood, what: impl FnOnce()) -> Vec<String> {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let to = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_writer(move || to.clone())
            .with_ansi(false)
            .with_filter(flood.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            what();
            flood.tell();
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn refused(peer: &str) {
        tracing::info!(side = %"A", peer = %peer, "refused");
    }

    #[test]
    fn beyond_a_rate_events_of_one_network_are_summed_up() {
        let flood = Flood::new();
        let lines = shown(&flood, || {
            for port in 1..=3000 {
                refused(&format!("192.0.2.1:{port}"));
                tracing::info!(session = port, "joined");
            }
            refused("192.0.2.2:1");
        });
        let refused: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("refused"))
            .collect();
        assert_eq!(refused.len(), 50 + 1 + 1);
        assert!(
            refused[51]
                .ends_with("refused: more of the same side=\"A\" network=192.0.2.1 count=2950"),
            "{}",
            refused[51]
        );
        let joined = lines.iter().filter(|line| line.contains("joined"));
        assert_eq!(joined.count(), 3000, "all that names no peer");
    }

    #[test]
    fn events_of_one_user_are_summed_up() {
        let flood = Flood::new();
        let lines = shown(&flood, || {
            for _ in 0..60 {
                refused("uid:7");
            }
            refused("uid:8");
        });
        assert_eq!(lines.len(), 50 + 1 + 1);
        assert!(
            lines[51].ends_with("network=uid:7 count=10"),
            "{}",
            lines[51]
        );
    }

    #[test]
    fn many_networks_are_bounded_as_well() {
        let flood = Flood::new();
        let lines = shown(&flood, || {
            for number in 0..10_000_u32 {
                refused(&format!(
                    "[2001:db8:{:x}:{:x}::1]:1",
                    number >> 8,
                    number & 255
                ));
            }
        });
        assert_eq!(lines.len(), 1000 + TOLD + 1);
        assert!(
            lines
                .last()
                .unwrap()
                .contains("more of the same from other networks")
        );
    }
}
