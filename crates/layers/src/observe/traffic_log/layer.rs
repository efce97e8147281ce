use std::{io, time::SystemTime};

use couplet_endpoint::Side;
use couplet_pairing::{Pair, SessionId};

use super::{
    Colour, Logged,
    direction::DirectionLog,
    settings::{Format, Settings},
    sink::Sink,
};
use crate::{
    mapped::{MapRequest, mapped_layer},
    observe::redact::Redact,
};

/// Logs the bytes of a pair, as text, hex dump or JSON.
///
/// **Where:** on a pair stack. Bytes read from side A are logged as `A -> B`, bytes read from side B as
/// `B -> A`; writes go straight through. So the layer's place decides: above a transform it shows the
/// transform's input, below it the output. No byte is changed, and logging never ends a pair. Bytes are
/// logged when they are read, delivered or not. To know only *how many* bytes flow, read the session's
/// [`Meter`](couplet_pairing::Meter), which costs nothing.
///
/// # What it costs
///
/// **Splice:** a logged direction is copied. With [`only`](Self::only) the other direction may be
/// spliced, with [`limit`](Self::limit) both beyond the limit. **Memory:** some 150 bytes a direction;
/// the text of one read (about ten times its bytes, more with many line breaks) until it is written,
/// one at a time in a thread.
///
/// The task that moves the bytes writes the records, so a writer that blocks holds up the relay. A
/// writer that fails does not: the first error is reported through `tracing`, at level warn, and the
/// lost records are counted.
///
/// # Text
///
/// For protocols that people can read. A line break in the data ends the line, and so does the end of
/// a read:
///
/// ```text
/// 2026-11-23T09:15:02.000123Z session=7 A -> B: GET / HTTP/1.1\r\n
/// 2026-11-23T09:15:02.000123Z session=7 A -> B: Host: example.org\r\n
/// 2026-11-23T09:15:02.031007Z session=7 B -> A: HTTP/1.1 204 No Content\r\n
/// 2026-11-23T09:15:02.031512Z session=7 B -> A total=25 EOF
/// 2026-11-23T09:15:02.040001Z session=7 A -> B total=35 error: connection reset
/// ```
///
/// No byte of a peer reaches a terminal raw. Printable UTF-8 is shown unchanged, a backslash as `\\`,
/// line feed, carriage return and tab as `\n`, `\r` and `\t`, and every other byte as `\x1b`: bytes of
/// control characters (C0 and C1), of invisible, bidirectional and other format characters, of
/// unassigned and private ones, and bytes that are not UTF-8. The text can be read back without loss. A
/// line longer than 1024 bytes goes on in the next.
///
/// A character that is split between two reads is shown with the second read. If the rest does not
/// come, the first bytes are shown as `\xe2`.
///
/// # Hex
///
/// For all other protocols, in the manner of `socat -x -v`: `>` is A -> B, `<` is B -> A, and offsets count
/// the bytes of that direction, decimal in the header and hexadecimal before the rows.
///
/// ```text
/// > 2026-11-23T09:15:02.000123Z session=7 length=18 from=35 to=52
/// 00000023  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|
/// 00000033  0d 0a                                             |..|
/// > 2026-11-23T09:15:02.000904Z session=7 total=53 EOF
/// ```
///
/// # JSON
///
/// For programs (feature `json`): an object a line for each read, and one for the end. The bytes are in
/// `text` where they are UTF-8, else in `hex`; all but printable ASCII is escaped.
///
/// ```text
/// {"time":"2026-11-23T09:15:02.000123Z","session":7,"from":"A","offset":35,"length":18,"text":"GET / HTTP/1.1\r\n\r\n"}
/// {"time":"2026-11-23T09:15:02.000904Z","session":7,"from":"A","total":53,"end":"EOF"}
/// ```
///
/// # Where it goes
///
/// To `tracing`, unless a writer is given: target `couplet::traffic`, level info, fields `session` and
/// `direction`, and the rest as the message. Every line is an event (in hex the header and each row),
/// because collectors of events expect lines. The end of a direction has the field `total`, so that it
/// differs from data that looks the same. JSON is one event for each read, whose members are fields.
/// Nothing is formatted while no subscriber enables the target.
///
/// To a writer, each record (all lines of one read) goes in a single `write_all`, so that the records of
/// two sessions don't mix. The writer is never flushed.
///
/// # Defaults
///
/// Both directions, to `tracing`; [`Colour::Auto`] for a writer.
///
/// ```
/// use couplet_endpoint::Side;
/// use couplet_layers::TrafficLogLayer;
/// use couplet_relay::Relay;
/// use tower::ServiceBuilder;
/// # use couplet_endpoint::{Conn, Origin, memory};
/// # use couplet_pairing::Pair;
/// # use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let stack = ServiceBuilder::new()
///     .layer(TrafficLogLayer::text().to_stderr())
///     .layer(TrafficLogLayer::hex().only(Side::B)) // to `tracing`
///     .service(Relay::new());
/// # let (_, a) = memory::connection(64);
/// # let (_, b) = memory::connection(64);
/// # let pair = Pair::new(Conn::new(a, Origin::Accepted), Conn::new(b, Origin::Accepted));
/// # stack.oneshot(pair).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TrafficLogLayer {
    only: Option<Side>,
    settings: Settings,
}

// ===== impl TrafficLogLayer =====

impl TrafficLogLayer {
    /// Logs the bytes as text, line by line.
    pub const fn text() -> Self {
        Self::new(Format::Text)
    }

    /// Logs the bytes as rows of sixteen, hexadecimal and ASCII.
    pub const fn hex() -> Self {
        Self::new(Format::Hex)
    }

    /// Logs the bytes as JSON, an object for each read. Feature `json`.
    #[cfg(feature = "json")]
    pub const fn json() -> Self {
        Self::new(Format::Json)
    }

    const fn new(format: Format) -> Self {
        Self {
            only: None,
            settings: Settings::new(format),
        }
    }

    /// Logs the bytes from this side alone: with [`Side::A`], the direction `A -> B`.
    pub const fn only(mut self, from: Side) -> Self {
        self.only = Some(from);
        self
    }

    /// Logs only the first `bytes` of each direction. Later bytes and the end are not seen, and may be
    /// spliced. No limit by default.
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.settings.limit = bytes;
        self
    }

    /// Redacts: `redact` is called with the bytes of each read, wherever the stream was cut, and only the
    /// bytes that it leaves are logged. Offsets and lengths are those of the original bytes. Nothing is
    /// redacted by default.
    pub fn redact(mut self, redact: impl Fn(Side, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.settings.redact = Redact::new(redact);
        self
    }

    /// Logs to `tracing`, the default. The subscriber decides about time and colour.
    pub fn to_tracing(mut self) -> Self {
        self.settings.sink = Sink::Tracing;
        self
    }

    /// Logs to a writer that all pairs and all clones of this layer share.
    pub fn to_writer(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.settings.sink = Sink::writer(writer, Colour::Never);
        self
    }

    /// Logs to the standard output.
    pub fn to_stdout(mut self) -> Self {
        let stdout = io::stdout();
        let auto = Colour::auto(&stdout);
        self.settings.sink = Sink::writer(stdout, auto);
        self
    }

    /// Logs to the standard error.
    pub fn to_stderr(mut self) -> Self {
        let stderr = io::stderr();
        let auto = Colour::auto(&stderr);
        self.settings.sink = Sink::writer(stderr, auto);
        self
    }

    /// Whether a writer's lines are coloured. [`Colour::Auto`] by default.
    pub const fn colour(mut self, colour: Colour) -> Self {
        self.settings.colour = colour;
        self
    }

    /// Uses another clock than the system's, for tests.
    pub const fn clock(mut self, now: fn() -> SystemTime) -> Self {
        self.settings.clock = now;
        self
    }

    /// The log of the bytes from this side, unless only the other side is logged.
    fn log(&self, from: Side, session: SessionId) -> Option<DirectionLog> {
        if self.only.is_some_and(|only| only != from) {
            return None;
        }
        Some(DirectionLog::new(from, session, self.settings.clone()))
    }
}

mapped_layer!(TrafficLogLayer);

impl<A, B> MapRequest<Pair<A, B>> for TrafficLogLayer {
    type Request = Pair<Logged<A>, Logged<B>>;

    fn map_request(&self, pair: Pair<A, B>) -> Self::Request {
        let log = |from| self.log(from, pair.session.id());
        let (a, b) = (log(Side::A), log(Side::B));
        pair.map_a(|io| Logged::new(io, a))
            .map_b(|io| Logged::new(io, b))
    }
}
