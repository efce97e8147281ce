use std::{fmt, io, mem, time::SystemTime};

use couplet_endpoint::Side;
use couplet_pairing::SessionId;

use super::{
    Colour, hex,
    layer::Format,
    sink::{Sink, TARGET},
    text,
};

/// The log of one direction of one pair.
#[derive(Debug)]
pub(super) struct DirectionLog {
    from: Side,
    session: SessionId,
    format: Format,
    /// How many bytes there were until now.
    total: u64,
    /// Was its end logged?
    ended: bool,
    sink: Sink,
    colour: Colour,
    clock: fn() -> SystemTime,
}

/// `A -> B`, for what comes from side A.
struct Direction(Side);

// ===== impl DirectionLog =====

impl DirectionLog {
    pub(super) const fn new(
        from: Side,
        session: SessionId,
        format: Format,
        sink: Sink,
        colour: Colour,
        clock: fn() -> SystemTime,
    ) -> Self {
        Self {
            from,
            session,
            format,
            total: 0,
            ended: false,
            sink,
            colour,
            clock,
        }
    }

    /// Logs what was read at once.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        let offset = self.total;
        self.total += bytes.len() as u64;
        let enabled = self.sink.is_enabled();
        let lines = match &mut self.format {
            Format::Text(text) if enabled => text.lines(bytes),
            Format::Text(text) => return text.forget(),
            Format::Hex if enabled => hex::lines(offset, bytes),
            Format::Hex => return,
        };
        self.write(&lines);
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

    fn end(&mut self, how: fmt::Arguments<'_>) {
        if mem::replace(&mut self.ended, true) {
            return;
        }
        self.write_rest();
        match &self.sink {
            Sink::Tracing => tracing::info!(
                target: TARGET,
                session = %self.session,
                direction = %Direction(self.from),
                total = self.total,
                "{how}"
            ),
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
        match &self.sink {
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

    /// The lines as a writer gets them: each with a head in text, the first alone in hex.
    fn record(&self, lines: &str) -> String {
        let (on, off) = self.colour.around(self.from);
        let mut head = self.head();
        head.push_str(match self.format {
            Format::Text(_) => ": ",
            Format::Hex => " ",
        });
        let mut record = String::with_capacity(head.len() + lines.len());
        for line in lines.lines() {
            for part in [on, &head, line, off, "\n"] {
                record.push_str(part);
            }
            if let Format::Hex = self.format {
                head.clear();
            }
        }
        record
    }

    fn head(&self) -> String {
        // Before its epoch the time can't be written, and a log never breaks a relay.
        let time = (self.clock)().max(SystemTime::UNIX_EPOCH);
        let time = humantime::format_rfc3339_micros(time);
        let session = self.session;
        match (&self.format, self.from) {
            (Format::Text(_), from) => format!("{time} session={session} {}", Direction(from)),
            (Format::Hex, Side::A) => format!("> {time} session={session}"),
            (Format::Hex, Side::B) => format!("< {time} session={session}"),
        }
    }

    /// Writes what waits for the rest of a character that won't come.
    fn write_rest(&mut self) {
        if let Format::Text(text) = &mut self.format {
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
