//! A record as a line of text, and as an event.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use couplet_endpoint::{Origin, Side};
use couplet_pairing::SessionId;

use super::{Leg, Record};

/// A time as in RFC 3339. A time before 1970 can't be written and becomes 1970: a log breaks no relay.
pub(super) fn time(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_micros(time.max(SystemTime::UNIX_EPOCH))
}

pub(super) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Accepted => "accepted",
        Origin::Dialled => "dialled",
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", time(self.time), self.end.termination_state())?;
        if let Some(relay) = self.relay.as_str() {
            write!(f, " relay={relay}")?;
        }
        if let Some(session) = self.session {
            write!(f, " session={session}")?;
        }
        write!(f, " duration={}", Seconds(self.duration))?;
        if self.session.is_some() {
            write!(f, " a_to_b={} b_to_a={}", self.a_to_b, self.b_to_a)?;
        }
        for (side, name) in [(Side::A, "a"), (Side::B, "b")] {
            if let Some(leg) = self.leg(side) {
                leg.write(f, name)?;
            }
        }
        write!(f, " reason=\"{}\"", self.end)?;
        if let Some(error) = &self.error {
            write!(f, " error=\"{}\"", error.escape_debug())?;
        }
        Ok(())
    }
}

impl Leg {
    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if let Some(peer) = self.peer_text() {
            write!(f, " {name}={peer}")?;
        }
        write!(f, " {name}_origin={}", origin(self.origin))?;
        if let Some(local) = self.local_text() {
            write!(f, " {name}_local={local}")?;
        }
        for (what, number) in self.credentials() {
            write!(f, " {name}_{what}={number}")?;
        }
        if let Some(exit) = self.exit() {
            write!(f, " {name}_exit={exit}")?;
        }
        if let Some(identity) = &self.identity {
            // `Display` escapes it.
            write!(f, " {name}_identity=\"{identity}\"")?;
        }
        if let Some(node) = &self.node {
            write!(f, " {name}_node=\"{node}\"")?;
        }
        for (what, time) in [("handshake", self.handshake), ("waiting", self.waiting)] {
            if let Some(time) = time {
                write!(f, " {name}_{what}={}", Seconds(time))?;
            }
        }
        for (what, bytes) in [("received", self.received), ("sent", self.sent)] {
            if let Some(bytes) = bytes {
                write!(f, " {name}_{what}={bytes}")?;
            }
        }
        Ok(())
    }
}

/// A time in seconds, to the microsecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// Sends a record to `tracing`.
pub(super) fn trace(record: &Record) {
    let peer = |side| {
        record
            .leg(side)
            .and_then(Leg::peer_text)
            .map(tracing::field::display)
    };
    tracing::info!(
        target: "couplet::access",
        state = record.end.termination_state(),
        relay = record.relay.as_str(),
        session = record.session.map(SessionId::get),
        a = peer(Side::A),
        b = peer(Side::B),
        a_to_b = record.a_to_b,
        b_to_a = record.b_to_a,
        duration = record.duration.as_secs_f64(),
        error = record.error.as_ref().map(|error| tracing::field::display(error.escape_debug())),
        "{}", record.end
    );
}
