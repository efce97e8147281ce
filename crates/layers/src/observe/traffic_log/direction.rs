use std::{fmt, io, mem, time::SystemTime};

use couplet_endpoint::Side;
use couplet_pairing::SessionId;

#[cfg(feature = "json")]
use super::json::{self, Entry, What};
use super::{
    Colour, TrafficLogLayer, hex,
    layer::Format,
    sink::{Sink, TARGET},
    text,
};

/// The log of one direction of one pair.
#[derive(Debug)]
pub(super) struct DirectionLog {
    from: Side,
    session: SessionId,
    /// How many bytes there were until now.
    total: u64,
    /// Was its end logged?
    ended: bool,
    /// Its format is this direction's own.
    layer: TrafficLogLayer,
    colour: Colour,
}

/// `A -> B`, for what comes from side A.
struct Direction(Side);

// ===== impl DirectionLog =====

impl DirectionLog {
    pub(super) fn new(from: Side, session: SessionId, layer: TrafficLogLayer) -> Self {
        Self {
            from,
            session,
            total: 0,
            ended: false,
            colour: layer.sink.colour(layer.colour),
            layer,
        }
    }

    /// Logs what was read at once.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        let offset = self.total;
        self.total += bytes.len() as u64;
        let left = self.layer.limit.saturating_sub(offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.show(offset, &bytes[..bytes.len().min(left)]);
        if self.is_over() {
            self.end(format_args!("limit reached"));
        }
    }

    /// Has everything been logged that is to be?
    pub(super) const fn is_over(&self) -> bool {
        self.total >= self.layer.limit
    }

    /// Logs that nothing more comes, unless its end was logged before.
    pub(super) fn ended(&mut self) {
        self.end(format_args!("EOF"));
    }

    /// Logs an error, unless its end was logged before.
    pub(super) fn failed(&mut self, error: &io::Error) {
        // What it says may come from the peer.
        self.end(format_args!("error: {}", text::shown(&error.to_string())));
    }

    fn show(&mut self, offset: u64, bytes: &[u8]) {
        if !self.layer.sink.is_enabled() {
            if let Format::Text(text) = &mut self.layer.format {
                text.forget();
            }
            return;
        }
        let redacted = self.layer.redact.apply(self.from, bytes);
        let lines = match &mut self.layer.format {
            Format::Text(text) => text.lines(&redacted),
            Format::Hex => hex::lines(offset, bytes.len(), &redacted),
            #[cfg(feature = "json")]
            Format::Json => return self.write_json(offset, bytes.len(), &redacted),
        };
        self.write(&lines);
    }

    fn end(&mut self, how: fmt::Arguments<'_>) {
        if mem::replace(&mut self.ended, true) {
            return;
        }
        self.write_rest();
        match &self.layer.sink {
            Sink::Tracing => tracing::info!(
                target: TARGET,
                session = %self.session,
                direction = %Direction(self.from),
                total = self.total,
                "{how}"
            ),
            #[cfg(feature = "json")]
            Sink::Writer { to, .. } if matches!(self.layer.format, Format::Json) => {
                let (total, how) = (self.total, how.to_string());
                to.write(&self.json(What::End { total, how }));
            }
            Sink::Writer { to, .. } => {
                let (on, off) = self.colour.around(self.from);
                let (head, total) = (self.head(), self.total);
                to.write(&format!("{on}{head} total={total} {how}{off}\n"));
            }
        }
    }

    /// Writes one record.
    fn write(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        match &self.layer.sink {
            Sink::Tracing => {
                for line in lines.lines() {
                    tracing::info!(
                        target: TARGET,
                        session = %self.session,
                        direction = %Direction(self.from),
                        "{line}"
                    );
                }
            }
            Sink::Writer { to, .. } => to.write(&self.record(lines)),
        }
    }

    #[cfg(feature = "json")]
    fn write_json(&self, offset: u64, length: usize, bytes: &[u8]) {
        match &self.layer.sink {
            Sink::Tracing => {
                let (name, shown) = json::shown(bytes);
                let is = |wanted| (name == wanted).then_some(shown.as_str());
                tracing::info!(
                    target: TARGET,
                    session = %self.session,
                    direction = %Direction(self.from),
                    offset,
                    length,
                    text = is("text").map(text::shown),
                    hex = is("hex"),
                    "data"
                );
            }
            Sink::Writer { to, .. } => to.write(&self.json(What::Data {
                offset,
                length,
                bytes,
            })),
        }
    }

    #[cfg(feature = "json")]
    fn json(&self, what: What<'_>) -> String {
        let entry = Entry {
            time: self.time(),
            session: self.session.get(),
            from: self.from,
            what,
        };
        crate::observe::json::line(&entry) + "\n"
    }

    /// The lines as a writer gets them: each with a head in text, the first alone in hex.
    fn record(&self, lines: &str) -> String {
        let (on, off) = self.colour.around(self.from);
        let is_hex = matches!(self.layer.format, Format::Hex);
        let mut head = self.head();
        head.push_str(if is_hex { " " } else { ": " });
        let mut record = String::with_capacity(head.len() + lines.len());
        for line in lines.lines() {
            for part in [on, &head, line, off, "\n"] {
                record.push_str(part);
            }
            if is_hex {
                head.clear();
            }
        }
        record
    }

    fn time(&self) -> String {
        // Before its epoch the time can't be written, and a log never breaks a relay.
        let time = (self.layer.clock)().max(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_micros(time).to_string()
    }

    fn head(&self) -> String {
        let (time, session) = (self.time(), self.session);
        match (&self.layer.format, self.from) {
            (Format::Hex, Side::A) => format!("> {time} session={session}"),
            (Format::Hex, Side::B) => format!("< {time} session={session}"),
            (_, from) => format!("{time} session={session} {}", Direction(from)),
        }
    }

    /// Writes what waits for the rest of a character that won't come.
    fn write_rest(&mut self) {
        if let Format::Text(text) = &mut self.layer.format {
            let rest = text.rest();
            self.write(&rest);
        }
    }
}

impl Drop for DirectionLog {
    fn drop(&mut self) {
        self.write_rest();
    }
}

// ===== impl Direction =====

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.0, !self.0)
    }
}
