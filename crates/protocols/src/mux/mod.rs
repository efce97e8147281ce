//! Carries many connections over one, by [yamux](https://docs.rs/yamux).
//!
//! A home behind a NAT, or a tunnel of many short connections, then needs one connection, which is dialled,
//! secured and admitted once.
//!
//! [`MuxListen`] is an endpoint over another: it takes *carriers*, accepted or dialled, and yields the streams
//! that come over them as connections. [`MuxDial`] is a dial over another: it dials a carrier, and each call
//! opens a stream of it; when the carrier has failed or is full, the next call dials another. A
//! [handshake](couplet_layers::Handshake) prepares each carrier, as TLS, Noise, WebSocket or a token do; the stacks of
//! the sides see the streams.
//!
//! What yamux does not tell is said within the streams. The first of a carrier is the carrier's own:
//!
//! ```text
//!         ── 2 ──▶ ◀── 2 ──   both ends: so each knows that the other speaks this, and is alive
//!         ── 1 ──▶ ◀── 2 ──   then a ping, where nothing came for a while, and its answer
//!         ◀── 3 ──            the end that takes streams takes no more; those that are there go on
//! ```
//!
//! All others are connections:
//!
//! ```text
//!  opened ── 1 ──▶ ◀── 1 ──   both ends, at once: a stream without bytes is there, too
//!         ── length (2 bytes, high byte first), this many bytes, … ──▶
//!         ── length 0 ──▶     the end of this direction
//! ```
//!
//! For each stream:
//!
//! - Each direction ends by itself; the other goes on (half-close).
//! - A stream that ends without its end was cut: a reset, after all bytes that came before. So a carrier that
//!   fails resets its streams.
//! - **Back-pressure:** a peer sends at most 256 KiB ahead of its reader. A reader that stops holds up no
//!   other stream.
//! - **Turns:** while 256 KiB wait for the carrier, the streams take turns of 128 KiB.
//!
//! The carrier is one connection: over TCP a packet that is lost holds up all streams until it comes again. A
//! dead one is noticed by a [ping](MuxDial::ping) that is not answered, by the keep-alive and acknowledgement
//! timeout of its socket, and by a stream that is not opened within 10 s: then the carrier is given up, and the
//! next dial makes another. While carriers can't be dialled there is a pause between two dials, of 3 s at most.
//!
//! **Bounds:** [1024 streams](MuxListen::streams) a carrier, [128 carriers](MuxListen::carriers) of an
//! endpoint and [16](MuxDial::carriers) of a dial, 10 s until a carrier is begun and until a stream is, [512
//! MiB](MuxListen::unread) of all carriers for what is not read. A carrier that was accepted and has brought no
//! stream gives way to a newcomer whose network has fewer. **Where:** above the side's stack, in place of its
//! endpoint. **Splice:** none, both directions are copied. **Memory:** of a stream some 2 KiB, and up to 256 KiB
//! while it is not read; of a carrier 128 KiB.
//!
//! ```
//! use couplet_endpoint::{Dial, Listen, TcpIo};
//! use couplet_protocols::mux::{MuxDial, MuxListen, plain};
//!
//! # async fn run() -> Result<(), couplet_endpoint::BoxError> {
//! let listen = MuxListen::new(Listen::bind("0.0.0.0:4000").await?, plain::<TcpIo>);
//! let dial = MuxDial::new(Dial::to("relay.example:4000")?, plain::<TcpIo>);
//! # Ok(())
//! # }
//! ```

mod carried;
mod carrier;
mod carriers;
mod control;
mod dial;
mod ended;
mod error;
mod frames;
mod io;
mod listen;
mod plain;
#[cfg(test)]
mod tests;
mod turns;
mod unread;
mod watch;

pub use self::{
    dial::MuxDial,
    error::MuxDialError,
    io::MuxIo,
    listen::MuxListen,
    plain::plain,
    watch::{MuxStatus, MuxWatch},
};

use std::time::Duration;

use self::unread::Bound;

/// How long the beginning of a carrier may take, and that of a stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// The streams of a carrier, by default.
const STREAMS: usize = 1024;

/// How often a silent carrier is pinged, by default.
const PING: Duration = Duration::from_secs(30);

/// What the carriers of a side hold of what is not read, by default.
const UNREAD: usize = 512 * 1024 * 1024;

/// The most bytes of a stream that are sent at a time: half of what a relay reads, so that none are left over.
const PIECE: usize = 32 * 1024;

/// What both ends of a stream say first.
const OPEN: u8 = 1;

/// What both ends say first of the stream that is the carrier's own.
const CONTROL: u8 = 2;

/// What the two ends of a carrier have in common.
#[derive(Clone, Debug)]
struct Settings {
    streams: usize,
    ping: Option<Duration>,
    unread: Bound,
    watch: MuxWatch,
}

// ===== impl Settings =====

impl Default for Settings {
    fn default() -> Self {
        Self {
            streams: STREAMS,
            ping: Some(PING),
            unread: Bound::new(UNREAD),
            watch: MuxWatch::default(),
        }
    }
}
