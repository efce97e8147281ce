//! Recent events, and the waiting connections.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use couplet_connector::{
    RelayEvent, Side,
    endpoint::{Chain, ConnId, Info},
    layers::{Identity, RefusalCause},
    pairing::{CloseReason, Session},
};
use tokio::time::Instant;

/// How many events of each kind are kept.
pub(crate) const KEPT: usize = 200;

/// How long an error's text may be. A peer may have a say in it.
const MAX_ERROR: usize = 500;

/// How many waiting connections are listed.
const MAX_WAITING: usize = 10_000;

/// The last events of all relays.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Rings>);

#[derive(Debug, Default)]
struct Rings {
    /// The number of the last event.
    last: u64,
    joined: VecDeque<Entry>,
    ended: VecDeque<Entry>,
    refused: VecDeque<Entry>,
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) time: SystemTime,
    pub(crate) relay: Arc<str>,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Joined(Session),
    Ended {
        session: Session,
        reason: CloseReason,
        error: Option<String>,
    },
    Refused {
        side: Side,
        conn: ConnId,
        peer: Option<SocketAddr>,
        cause: RefusalCause,
        error: Option<String>,
    },
}

/// The connections of a relay that wait in a rendezvous.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<ConnId, One>>);

/// A connection that waits.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(crate) conn: ConnId,
    pub(crate) side: Option<Side>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) identity: Option<Identity>,
    since: Instant,
}

// ===== impl Journal =====

impl Journal {
    /// Called in the task of the connection or the pair.
    pub(crate) fn add(&self, relay: &Arc<str>, event: &RelayEvent<'_>) {
        let what = match *event {
            RelayEvent::Joined(session) => What::Joined(session.clone()),
            RelayEvent::Ended {
                session,
                reason,
                error,
                ..
            } => What::Ended {
                session: session.clone(),
                reason,
                error: error.map(|error| text(&Chain(error).to_string())),
            },
            RelayEvent::Refused(refused) => What::Refused {
                side: refused.side,
                conn: refused.conn,
                peer: refused.peer,
                cause: refused.cause,
                error: refused.error.map(|error| text(&Chain(error).to_string())),
            },
            _ => return,
        };
        let time = SystemTime::now();
        let mut rings = self.rings();
        rings.last += 1;
        let entry = Entry {
            number: rings.last,
            time,
            relay: Arc::clone(relay),
            what,
        };
        let ring = match entry.what {
            What::Joined(_) => &mut rings.joined,
            What::Ended { .. } => &mut rings.ended,
            What::Refused { .. } => &mut rings.refused,
        };
        // The oldest is dropped outside of the lock.
        let oldest = (ring.len() >= KEPT).then(|| ring.pop_front());
        ring.push_back(entry);
        drop(rings);
        drop(oldest);
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.rings().last
    }

    /// What ended, the last first.
    pub(crate) fn ended(&self) -> Vec<Entry> {
        self.rings().ended.iter().rev().cloned().collect()
    }

    /// What was refused, the last first.
    pub(crate) fn refused(&self) -> Vec<Entry> {
        self.rings().refused.iter().rev().cloned().collect()
    }

    /// What happened after the event of this number, in order, as far as it is kept.
    pub(crate) fn after(&self, number: u64) -> Vec<Entry> {
        let rings = self.rings();
        let all = [&rings.joined, &rings.ended, &rings.refused];
        let new = all.into_iter().flat_map(|ring| {
            let first = ring.partition_point(|entry| entry.number <= number);
            ring.range(first..).cloned()
        });
        let mut new: Vec<_> = new.collect();
        drop(rings);
        new.sort_unstable_by_key(|entry| entry.number);
        new
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error's text, cut, its control characters escaped.
fn text(error: &str) -> String {
    let mut shown = String::new();
    for c in error.chars().take(MAX_ERROR) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

// ===== impl Waiting =====

impl Waiting {
    pub(crate) fn add(&self, info: &Info) {
        let mut waiting = self.waiting();
        if waiting.len() < MAX_WAITING {
            waiting.insert(
                info.id,
                One {
                    conn: info.id,
                    side: info.side,
                    peer: info.peer,
                    identity: info.extensions.get().cloned(),
                    since: Instant::now(),
                },
            );
        }
    }

    pub(crate) fn remove(&self, info: &Info) {
        self.waiting().remove(&info.id);
    }

    /// This many of them, the oldest first.
    pub(crate) fn list(&self, most: usize) -> Vec<One> {
        self.waiting().values().take(most).cloned().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<ConnId, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl One =====

impl One {
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_and_has_no_control_characters() {
        assert_eq!(text("a \u{1b}[31m \"b\"\n"), "a \\u{1b}[31m \"b\"\\n");
        assert_eq!(text(&"x".repeat(1000)).len(), MAX_ERROR);
    }
}
