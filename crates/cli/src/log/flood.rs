//! Events that strangers can cause without end: beyond a rate they are counted, and told in sum.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{
    Event, Level, Metadata,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Filter};

/// How long events are counted until their sum is told.
const WINDOW: Duration = Duration::from_secs(10);

/// How many events of one kind and one network are shown in a window.
const SHOWN: u64 = 50;

/// How many events are shown in a window, of all networks.
const SHOWN_IN_ALL: u64 = 1000;

/// How many networks are told apart.
const NETWORKS: usize = 4096;

/// How many networks have a line of their own when sums are told.
const TOLD: usize = 20;

/// Passes an event that names a `peer` on, as long as there are not too many of its kind from the
/// peer's network: an IPv4 address, or an IPv6 network of 64 bits. Debug events all pass.
#[derive(Clone)]
pub(super) struct Flood(Arc<Shared>);

#[derive(Default)]
struct Shared {
    sums: Mutex<Sums>,
    counted: Condvar,
}

#[derive(Default)]
struct Sums {
    shown: u64,
    counts: HashMap<Key, Count>,
    has_thread: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Identifier,
    side: Option<String>,
    /// None: one of those beyond the number of networks that are told apart.
    network: Option<Network>,
}

/// What is taken for one peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    Ip(IpAddr),
    /// Of a Unix socket.
    User(u32),
}

#[derive(Default)]
struct Count {
    message: String,
    shown: u64,
    /// Counted, not shown.
    more: u64,
}

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
        static STDERR: LazyLock<Flood> = LazyLock::new(|| Flood(Arc::default()));
        STDERR.clone()
    }

    /// Tells the sums now. For the end of the program.
    pub(super) fn tell(&self) {
        let counts = std::mem::take(&mut *self.0.sums()).counts;
        tell(counts);
    }
}

impl<S> Filter<S> for Flood {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.fields().field("peer").is_none() {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(peer) = fields.peer else {
            return true;
        };
        let key = Key {
            kind: metadata.callsite(),
            side: fields.side,
            network: Some(peer),
        };
        let mut sums = self.0.sums();
        let is_shown = sums.count(key, fields.message);
        if !is_shown && !std::mem::replace(&mut sums.has_thread, true) {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("log-sums".into());
            // Without it the sums are told at the end of the program.
            let _ = thread.spawn(move || shared.tell_again_and_again());
        }
        drop(sums);
        self.0.counted.notify_all();
        is_shown
    }
}

// ===== impl Shared =====

impl Shared {
    fn tell_again_and_again(&self) {
        loop {
            let nothing = |sums: &mut Sums| sums.counts.is_empty();
            drop(self.counted.wait_while(self.sums(), nothing));
            thread::sleep(WINDOW);
            let counts = self.sums().next_window();
            tell(counts);
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Sums =====

impl Sums {
    /// Counts an event; is it shown?
    fn count(&mut self, mut key: Key, message: String) -> bool {
        if self.counts.len() >= NETWORKS && !self.counts.contains_key(&key) {
            key.network = None;
        }
        let count = self.counts.entry(key).or_default();
        let is_shown = count.shown < SHOWN && self.shown < SHOWN_IN_ALL;
        match is_shown {
            true => {
                count.shown += 1;
                self.shown += 1;
            }
            false => {
                count.message = message;
                count.more += 1;
            }
        }
        is_shown
    }

    fn next_window(&mut self) -> HashMap<Key, Count> {
        self.shown = 0;
        std::mem::take(&mut self.counts)
    }
}

/// Tells what was counted and not shown: the networks with the most events, then all others.
fn tell(counts: HashMap<Key, Count>) {
    let mut counts: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| count.more > 0)
        .collect();
    counts.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(count.more));
    let rest = counts.split_off(counts.len().min(TOLD));
    for (key, count) in counts {
        tracing::info!(
            side = key.side,
            network = key.network.map(tracing::field::display),
            count = count.more,
            "{}: more of the same",
            count.message
        );
    }
    if !rest.is_empty() {
        let count: u64 = rest.iter().map(|(_, count)| count.more).sum();
        tracing::info!(
            networks = rest.len(),
            count,
            "more of the same from other networks"
        );
    }
}

// ===== impl Network =====

impl Network {
    /// Of a peer as a log line names it.
    fn of(peer: &str) -> Option<Self> {
        if let Some(uid) = peer.strip_prefix("uid:") {
            return uid.parse().ok().map(Self::User);
        }
        let ip = peer.parse::<SocketAddr>().ok()?.ip();
        Some(Self::Ip(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            ip @ IpAddr::V4(_) => ip,
        }))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::User(uid) => write!(f, "uid:{uid}"),
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
    use tracing_subscriber::{Layer, layer::SubscriberExt};

    use super::*;

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
        let flood = Flood(Arc::default());
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
        let flood = Flood(Arc::default());
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
        let flood = Flood(Arc::default());
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

    #[test]
    fn a_network_is_an_ipv4_address_or_64_bits() {
        let network = |ip: &str| {
            let peer = SocketAddr::new(ip.parse().unwrap(), 1).to_string();
            Network::of(&peer).unwrap().to_string()
        };
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
