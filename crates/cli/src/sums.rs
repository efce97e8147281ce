//! Lines that strangers can cause without end: beyond a rate they are counted and summed.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long lines are counted until their sum is told.
const WINDOW: Duration = Duration::from_secs(10);

/// How many lines of one kind and one network are shown in a window.
pub(crate) const SHOWN: u64 = 50;

/// How many lines are shown in a window, of all networks.
pub(crate) const SHOWN_IN_ALL: u64 = 1000;

/// How many networks are told apart.
const NETWORKS: usize = 4096;

/// How many networks have a line of their own when sums are told.
pub(crate) const TOLD: usize = 20;

/// Says which lines are shown, and tells the sums of the others. `K` is the kind of a line. Clones are
/// the same.
pub(crate) struct Sums<K>(Arc<Shared<K>>);

struct Shared<K> {
    window: Mutex<Window<K>>,
    counted: Condvar,
    tell: Box<dyn Fn(Sum<K>) + Send + Sync>,
}

/// What was counted and not shown.
#[derive(Debug, PartialEq)]
pub(crate) enum Sum<K> {
    Of {
        key: Key<K>,
        /// That of the last one.
        message: String,
        count: u64,
    },
    /// All that is left.
    Rest { networks: usize, count: u64 },
}

struct Window<K> {
    shown: u64,
    counts: HashMap<Key<K>, Count>,
    has_thread: bool,
}

/// Lines that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key<K> {
    pub(crate) kind: K,
    pub(crate) side: Option<String>,
    /// None: one of those beyond the number of networks that are told apart.
    pub(crate) network: Option<Network>,
}

/// What is taken for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// An IPv4 address, or 64 bits of an IPv6 address.
    Ip(IpAddr),
    /// The user of a Unix socket's peer.
    User(u32),
}

#[derive(Default)]
struct Count {
    message: String,
    shown: u64,
    /// Counted, not shown.
    more: u64,
}

// ===== impl Sums =====

impl<K: Eq + Hash + Send + 'static> Sums<K> {
    pub(crate) fn new(tell: impl Fn(Sum<K>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            window: Mutex::new(Window {
                shown: 0,
                counts: HashMap::new(),
                has_thread: false,
            }),
            counted: Condvar::new(),
            tell: Box::new(tell),
        }))
    }

    /// Counts a line of a peer; is it shown?
    pub(crate) fn count(
        &self,
        kind: K,
        side: Option<String>,
        network: Network,
        message: impl FnOnce() -> String,
    ) -> bool {
        let key = Key {
            kind,
            side,
            network: Some(network),
        };
        let mut window = self.0.window();
        let is_shown = window.count(key, message);
        if !is_shown && !std::mem::replace(&mut window.has_thread, true) {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("log-sums".into());
            // Without it the sums are told at the end of the program.
            let _ = thread.spawn(move || shared.tell_again_and_again());
        }
        drop(window);
        self.0.counted.notify_all();
        is_shown
    }

    /// Tells the sums now. For the end of the program.
    pub(crate) fn tell(&self) {
        let counts = self.0.window().next();
        self.0.tell_all(counts);
    }
}

impl<K> Clone for Sums<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Sums<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sums")
    }
}

// ===== impl Shared =====

impl<K: Eq + Hash> Shared<K> {
    fn tell_again_and_again(&self) {
        loop {
            let nothing = |window: &mut Window<K>| window.counts.is_empty();
            drop(self.counted.wait_while(self.window(), nothing));
            thread::sleep(WINDOW);
            let counts = self.window().next();
            self.tell_all(counts);
        }
    }

    /// The networks with the most lines, then all others.
    fn tell_all(&self, counts: HashMap<Key<K>, Count>) {
        let mut counts: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| count.more > 0)
            .collect();
        counts.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(count.more));
        let rest = counts.split_off(counts.len().min(TOLD));
        for (key, Count { message, more, .. }) in counts {
            (self.tell)(Sum::Of {
                key,
                message,
                count: more,
            });
        }
        if !rest.is_empty() {
            (self.tell)(Sum::Rest {
                networks: rest.len(),
                count: rest.iter().map(|(_, count)| count.more).sum(),
            });
        }
    }

    fn window(&self) -> MutexGuard<'_, Window<K>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Window =====

impl<K: Eq + Hash> Window<K> {
    /// Counts a line; is it shown?
    fn count(&mut self, mut key: Key<K>, message: impl FnOnce() -> String) -> bool {
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
                count.message = message();
                count.more += 1;
            }
        }
        is_shown
    }

    fn next(&mut self) -> HashMap<Key<K>, Count> {
        self.shown = 0;
        std::mem::take(&mut self.counts)
    }
}

// ===== impl Network =====

impl Network {
    /// Of a peer as a log line names it.
    pub(crate) fn of(peer: &str) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
