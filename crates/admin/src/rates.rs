use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use couplet_connector::{
    Side,
    pairing::{Session, SessionId},
};
use tokio::time::Instant;

/// A look is kept at least this long: a rate over less would jump.
const MIN_AGE: Duration = Duration::from_millis(900);

/// How fast the pairs of a relay move bytes, from one look at them to the next. Nothing is done for it
/// between.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    before: Option<Look>,
    last: Option<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    bytes: HashMap<SessionId, [u64; 2]>,
}

// ===== impl Rates =====

impl Rates {
    /// The bytes per second of each of these sessions, from A and from B: since the look before, or for a
    /// session that is newer, since its start.
    pub(crate) fn of(&self, sessions: &[Session]) -> Vec<[f64; 2]> {
        let now = Instant::now();
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |look: &Look| now.duration_since(look.at) >= MIN_AGE;
        if looks.last.as_ref().is_none_or(is_old) {
            let bytes = sessions
                .iter()
                .map(|session| (session.id(), moved(session)));
            let look = Look {
                at: now,
                bytes: bytes.collect(),
            };
            looks.before = looks.last.replace(look);
        }
        let before = looks.before.as_ref();
        let rate = |session: &Session| {
            let known = before.and_then(|look| Some((look.at, *look.bytes.get(&session.id())?)));
            let (since, then) = known.unwrap_or((session.since(), [0; 2]));
            // Within the first moment of a pair there is no rate.
            let time = now.duration_since(since).max(Duration::from_millis(100));
            let moved = moved(session);
            [0, 1].map(|way| moved[way].saturating_sub(then[way]) as f64 / time.as_secs_f64())
        };
        sessions.iter().map(rate).collect()
    }
}

fn moved(session: &Session) -> [u64; 2] {
    [Side::A, Side::B].map(|from| session.meter().bytes(from))
}
