//! What is counted of the pairs, all under one lock.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use couplet_endpoint::Side;
use couplet_pairing::{CloseReason, Session, SessionId};

use super::histogram::{Histogram, PAIR, SHORT, WAIT};

#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) live: HashMap<SessionId, Session, BuildHasherDefault<NumberHasher>>,
    /// The last one of a generation before; so are those with smaller numbers.
    last_older: Option<SessionId>,
    /// How many of the live ones are.
    pub(super) older: usize,
    pub(super) total: u64,
    /// Of those that have ended, how many never were joined.
    pub(super) refused: u64,
    /// How many ended so, in the order of [`CloseReason::STATES`].
    pub(super) ended: Vec<u64>,
    pub(super) durations: Histogram,
    /// How long the connections of each side took until they waited, and then until they were paired.
    pub(super) handshakes: [Histogram; 2],
    pub(super) waits: [Histogram; 2],
}

/// For numbers that count up within the process, which no peer chooses: cheaper than the hash that
/// holds up against chosen ones.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

// ===== impl Pairs =====

impl Pairs {
    pub(super) fn begins(&mut self, session: &Session) {
        self.total += 1;
        self.live.insert(session.id(), session.clone());
        for side in [Side::A, Side::B] {
            let info = session.info(side);
            if let Some(handshake) = info.handshake() {
                let since_start = session.since().saturating_duration_since(info.since);
                self.handshakes[side as usize].add(handshake);
                self.waits[side as usize].add(since_start.saturating_sub(handshake));
            }
        }
    }

    pub(super) fn begin_generation(&mut self) {
        self.last_older = self.live.keys().copied().max().or(self.last_older);
        self.older = self.live.len();
    }

    pub(super) fn is_older(&self, session: SessionId) -> bool {
        self.last_older.is_some_and(|last| session <= last)
    }

    pub(super) fn ends(&mut self, session: &Session) {
        self.live.remove(&session.id());
        if self.is_older(session.id()) {
            self.older -= 1;
        }
        if !session.is_relaying() {
            self.refused += 1;
        }
        // Set by now: whatever owned the session was dropped before.
        let reason = session.end_reason().unwrap_or(CloseReason::Dropped);
        let state = reason.termination_state();
        if let Some(n) = CloseReason::STATES.iter().position(|known| *known == state) {
            self.ended[n] += 1;
        }
        self.durations.add(session.duration());
    }
}

impl Default for Pairs {
    fn default() -> Self {
        let of_sides = |bounds| [Histogram::new(bounds), Histogram::new(bounds)];
        Self {
            live: HashMap::default(),
            last_older: None,
            older: 0,
            total: 0,
            refused: 0,
            ended: vec![0; CloseReason::STATES.len()],
            durations: Histogram::new(PAIR),
            handshakes: of_sides(SHORT),
            waits: of_sides(WAIT),
        }
    }
}

// ===== impl NumberHasher =====

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio, see Knuth, The Art of Computer Programming, section 6.4.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
