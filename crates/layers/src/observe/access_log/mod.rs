//! Writes a record for each pair that has ended, and for each connection that was never joined.
//!
//! An [`AccessLog`] writes records to a function, a writer or `tracing`. Give it to three layers:
//! [`AccessLogLayer`] on the pair stack makes the records of pairs; a [`SideAccessLogLayer`] on each
//! side stack adds times and bytes of each connection, and makes the records of connections that were
//! refused, waited in vain or went away. Use the pair's layer wherever you use a side's: without it
//! every connection counts as never joined.
//!
//! Bytes are counted twice, because they may differ: `a_to_b` and `b_to_a` are the bytes that the relay
//! delivered, after transforms and codecs; `received` and `sent` of each leg are the bytes on that
//! connection's wire, handshakes and encryption included.
//!
//! The end is told in two letters, for programs, and in words:
//!
//! | | |
//! |---|---|
//! | `AF`, `BR`, `TI`, … | a pair, see [`termination_state`](couplet_pairing::CloseReason::termination_state) |
//! | `aR`, `bR` | a connection of that side was [refused](Unjoined::Refused) by its side's stack |
//! | `aP`, `bP` | the connection's partner [could not be dialled](Unjoined::NoPartner), or was refused |
//! | `aE`, `bE` | the time to wait for a partner [expired](Unjoined::Expired) |
//! | `aG`, `bG` | the peer was [gone](Unjoined::Gone) before a partner came |
//! | `aS`, `bS` | the relay [stopped](Unjoined::Stopped) while the connection waited |
//! | `--` | the pair goes on: [`every`](AccessLogLayer::every) so often there is a record of it |
//!
//! # Lines
//!
//! As text: names with values, with every text of a peer escaped. Unknown fields are left out. Times are
//! in seconds:
//!
//! ```text
//! 2026-11-23T09:15:02.000123Z AF session=7 duration=1.250003 a_to_b=35 b_to_a=1270 a=10.0.0.1:4711 a_origin=accepted a_local=10.0.0.9:9000 a_identity="alice" a_handshake=0.012001 a_waiting=3.5 a_received=147 a_sent=1388 b=… reason="finished, A first"
//! 2026-11-23T09:15:09.000456Z bR duration=10.0 b=10.0.0.2:4712 b_origin=accepted b_received=0 b_sent=0 reason="refused" error="no handshake within 10s"
//! ```
//!
//! As JSON (feature `json`): an object a line with the same names; the fields of a leg are in an object
//! `a` or `b`:
//!
//! ```text
//! {"time":"2026-11-23T09:15:02.000123Z","event":"pair","state":"AF","reason":"finished, A first","session":7,"duration":1.250003,"a_to_b":35,"b_to_a":1270,"a":{"conn":3,"peer":"10.0.0.1:4711",…},"b":{…}}
//! ```
//!
//! **Where:** at the top of each stack. **Splice:** costs none; spliced bytes are counted, too.
//! **Memory:** some 500 bytes a connection on a side with its layer, a few on the pair.
//! The task that ends the pair or the wait writes the record, so a writer that blocks holds up that
//! task. A writer that fails is reported once through `tracing`, and the relay goes on.
//!
//! ```
//! use couplet_layers::{AccessLog, AccessLogLayer, SideAccessLogLayer, observe::access_log::Format};
//! use couplet_endpoint::Side;
//! use couplet_relay::Relay;
//! use tower::ServiceBuilder;
//!
//! let log = AccessLog::to_writer(Format::Text, std::io::stdout());
//! # let place = ();
//! let side_a = ServiceBuilder::new()
//!     .layer(SideAccessLogLayer::new(log.clone(), Side::A))
//!     // … handshakes …
//!     .service(place);
//! let pair_stack = ServiceBuilder::new()
//!     .layer(AccessLogLayer::new(log))
//!     .service(Relay::new());
//! ```

mod counted;
mod entry;
#[cfg(feature = "json")]
mod json;
mod pair;
mod record;
mod side;
#[cfg(test)]
mod tests;
mod text;

pub use self::{
    counted::Counted,
    pair::{AccessLogFuture, AccessLogLayer, AccessLogService},
    record::{End, Leg, Record, Unjoined},
    side::{SideAccessLogFuture, SideAccessLogLayer, SideAccessLogService},
};

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::SystemTime,
};

use crate::observe::writer::Shared;

/// Where access records go. Cheap to clone; clones are the same. See the [module](self).
#[derive(Clone, derive_more::Debug)]
#[debug("AccessLog")]
pub struct AccessLog {
    sink: Arc<dyn Fn(&Record) + Send + Sync>,
    clock: fn() -> SystemTime,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// As names and values.
    #[default]
    Text,
    /// As JSON, an object a line.
    #[cfg(feature = "json")]
    Json,
}

// ===== impl AccessLog =====

impl AccessLog {
    /// Gives each record to this function. It should return soon: it runs in the task that ends the
    /// pair, or in that of the pairing.
    pub fn new(sink: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            clock: SystemTime::now,
        }
    }

    /// Writes each record as a line, in a single `write_all`. It is never flushed.
    pub fn to_writer(format: Format, writer: impl io::Write + Send + 'static) -> Self {
        let writer = Shared::new("access log", writer);
        Self::new(move |record| writer.write(&(format.line(record) + "\n")))
    }

    /// Makes each record an event of `tracing`: target `couplet::access`, level info.
    pub fn to_tracing() -> Self {
        Self::new(text::trace)
    }

    /// Leaves out the records for which `keep` returns `false`: a program may count those that a
    /// stranger can cause without end.
    #[must_use]
    pub fn only(self, keep: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Self {
        let sink = self.sink;
        let sink = move |record: &Record| {
            if keep(record) {
                sink(record);
            }
        };
        Self {
            sink: Arc::new(sink),
            clock: self.clock,
        }
    }

    /// Takes the time from here and not from the system's clock, for tests.
    #[must_use]
    pub const fn clock(mut self, now: fn() -> SystemTime) -> Self {
        self.clock = now;
        self
    }

    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn log(&self, record: &Record) {
        // Caught, because this may be the end of a session that panicked already.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.sink)(record)));
    }
}

// ===== impl Format =====

impl Format {
    fn line(self, record: &Record) -> String {
        match self {
            Self::Text => record.to_string(),
            #[cfg(feature = "json")]
            Self::Json => crate::observe::json::line(record),
        }
    }
}
