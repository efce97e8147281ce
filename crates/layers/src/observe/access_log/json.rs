//! A record as JSON.

use std::time::Duration;

use couplet_endpoint::Exit;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{End, Leg, Record, text};

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &text::time(self.time).to_string())?;
        let event = match self.end {
            End::Pair(_) => "pair",
            End::Live => "live",
            End::Unjoined(..) => "connection",
        };
        map.serialize_entry("event", event)?;
        map.serialize_entry("state", self.end.termination_state())?;
        map.serialize_entry("reason", &self.end.to_string())?;
        if let Some(relay) = self.relay.as_str() {
            map.serialize_entry("relay", relay)?;
        }
        if let Some(error) = &self.error {
            map.serialize_entry("error", error)?;
        }
        if let Some(session) = self.session {
            map.serialize_entry("session", &session.get())?;
        }
        map.serialize_entry("duration", &seconds(self.duration))?;
        if self.session.is_some() {
            map.serialize_entry("a_to_b", &self.a_to_b)?;
            map.serialize_entry("b_to_a", &self.b_to_a)?;
        }
        for (name, leg) in [("a", &self.a), ("b", &self.b)] {
            if let Some(leg) = leg {
                map.serialize_entry(name, leg)?;
            }
        }
        map.end()
    }
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("conn", &self.conn.get())?;
        map.serialize_entry("origin", text::origin(self.origin))?;
        for (name, address) in [("peer", self.peer_text()), ("local", self.local_text())] {
            if let Some(address) = address {
                map.serialize_entry(name, &address)?;
            }
        }
        for (name, number) in self.credentials() {
            map.serialize_entry(name, &number)?;
        }
        match self.exit() {
            Some(Exit::Status(status)) => map.serialize_entry("exit", &status)?,
            Some(signal) => map.serialize_entry("exit", &signal.to_string())?,
            None => {}
        }
        if let Some(identity) = &self.identity {
            map.serialize_entry("identity", identity.name())?;
        }
        if let Some(node) = &self.node {
            map.serialize_entry("node", node.node())?;
        }
        for (name, time) in [("handshake", self.handshake), ("waiting", self.waiting)] {
            if let Some(time) = time {
                map.serialize_entry(name, &seconds(time))?;
            }
        }
        for (name, bytes) in [("received", self.received), ("sent", self.sent)] {
            if let Some(bytes) = bytes {
                map.serialize_entry(name, &bytes)?;
            }
        }
        map.end()
    }
}

/// Seconds to the microsecond, as in the text.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}
