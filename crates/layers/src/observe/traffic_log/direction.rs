use std::{fmt, io, mem};

use couplet_endpoint::Side;
use couplet_pairing::SessionId;

#[cfg(feature = "json")]
use super::json::{self, Entry, What};
use super::{
    Colour, hex,
    settings::{Format, Settings},
    sink::{Sink, TARGET},
    text::{self, Text},
};
use crate::observe::observed::{Observe, Observed};

/// The io of a logged pair: made by [`TrafficLog`](super::TrafficLog).
pub type Logged<I> = Observed<I, DirectionLog>;

/// The log of one direction of one pair.
#[derive(Debug)]
pub struct DirectionLog {
    from: Side,
    session: SessionId,
    /// The number of bytes so far.
    total: u64,
    /// Whether the end was logged.
    ended: bool,
    settings: Settings,
    /// The first bytes of a character that is not complete.
    text: Text,
    colour: Colour,
}

/// `A -> B`, for bytes from side A.
#[derive(derive_more::Display)]
#[display("{_0} -> {}", !*_0)]
struct Direction(Side);

// ===== impl DirectionLog =====

impl DirectionLog {
    pub(super) fn new(from: Side, session: SessionId, settings: Settings) -> Self {
        Self {
            from,
            session,
            total: 0,
            ended: false,
            colour: settings.sink.colour(settings.colour),
            text: Text::new(),
            settings,
        }
    }

    fn show(&mut self, offset: u64, bytes: &[u8]) {
        if !self.settings.sink.is_enabled() {
            self.text.forget();
            return;
        }
        let redacted = self.settings.redact.apply(self.from, bytes);
        let lines = match self.settings.format {
            Format::Text => self.text.lines(&redacted),
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
        match &self.settings.sink {
            Sink::Tracing => tracing::info!(
                target: TARGET,
                session = self.session.get(),
                direction = %Direction(self.from),
                total = self.total,
                "{how}"
            ),
            #[cfg(feature = "json")]
            Sink::Writer { to, .. } if matches!(self.settings.format, Format::Json) => {
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
        match &self.settings.sink {
            Sink::Tracing => {
                for line in lines.lines() {
                    tracing::info!(
                        target: TARGET,
                        session = self.session.get(),
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
        match &self.settings.sink {
            Sink::Tracing => {
                let (name, shown) = json::shown(bytes);
                let is = |wanted| (name == wanted).then_some(shown.as_str());
                tracing::info!(
                    target: TARGET,
                    session = self.session.get(),
                    from = %self.from,
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
            time: self.settings.time(),
            session: self.session.get(),
            from: self.from,
            what,
        };
        crate::observe::json::line(&entry) + "\n"
    }

    /// The lines for a writer: in text each with a head, in hex the first alone.
    fn record(&self, lines: &str) -> String {
        let (on, off) = self.colour.around(self.from);
        let is_hex = matches!(self.settings.format, Format::Hex);
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

    fn head(&self) -> String {
        let (time, session) = (self.settings.time(), self.session);
        match (&self.settings.format, self.from) {
            (Format::Hex, Side::A) => format!("> {time} session={session}"),
            (Format::Hex, Side::B) => format!("< {time} session={session}"),
            (_, from) => format!("{time} session={session} {}", Direction(from)),
        }
    }

    /// Writes the first bytes of a character whose rest does not come.
    fn write_rest(&mut self) {
        let rest = self.text.rest();
        self.write(&rest);
    }
}

impl Observe for DirectionLog {
    fn data(&mut self, bytes: &[u8]) {
        let offset = self.total;
        self.total += bytes.len() as u64;
        let left = self.settings.limit.saturating_sub(offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.show(offset, &bytes[..bytes.len().min(left)]);
        if self.is_done() {
            self.end(format_args!("limit reached"));
        }
    }

    fn ended(&mut self) {
        self.end(format_args!("EOF"));
    }

    fn failed(&mut self, error: &io::Error) {
        // An error's text may come from the peer.
        self.end(format_args!("error: {}", text::shown(&error.to_string())));
    }

    fn is_done(&self) -> bool {
        self.total >= self.settings.limit
    }
}

impl Drop for DirectionLog {
    fn drop(&mut self) {
        self.write_rest();
    }
}

// ===== impl Direction =====
