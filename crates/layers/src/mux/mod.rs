//! Many connections over one, by [yamux](https://docs.rs/yamux): a home behind a NAT, or a tunnel of many
//! short connections, needs one connection that was dialled, secured and admitted once.
//!
//! [`MuxListen`] is an endpoint over another: it accepts *carriers*, and yields the streams that come over
//! them as connections. [`MuxDial`] is a dial over another: it dials one carrier, and each call opens a
//! stream of it; when the carrier has failed, the next call dials another. A [handshake](crate::Handshake)
//! prepares each carrier, as TLS, Noise, WebSocket or a token do; the stacks of the sides see the streams.
//!
//! What yamux does not tell is said within each stream:
//!
//! ```text
//!  opened ── 1 ──▶ ◀── 1 ──   both ends, at once: a stream without bytes is there, too,
//!                             and the dial knows that the carrier is alive
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
//!
//! The carrier is one TCP connection: a packet that is lost holds up all streams until it comes again. A dead
//! one is noticed by the carrier's own keep-alive and acknowledgement timeout, and by a stream that is not
//! opened within 10 s: then the carrier is given up, and the next dial makes another.
//!
//! **Bounds:** [1024 streams](MuxListen::streams) a carrier, [1024 carriers](MuxListen::carriers), 10 s for
//! the handshake of a carrier and for the beginning of a stream. **Where:** above the side's stack, in place
//! of its endpoint. **Splice:** none, both directions are copied. **Memory:** of a stream some 2 KiB, and up to
//! 256 KiB while it is not read; of a carrier 96 KiB.
//!
//! ```
//! use couplet_endpoint::{Dial, Listen, TcpIo};
//! use couplet_layers::mux::{MuxDial, MuxListen, plain};
//!
//! # async fn run() -> Result<(), couplet_endpoint::BoxError> {
//! let listen = MuxListen::new(Listen::bind("0.0.0.0:4000").await?, plain::<TcpIo>);
//! let dial = MuxDial::new(Dial::to("relay.example:4000")?, plain::<TcpIo>);
//! # Ok(())
//! # }
//! ```

mod carrier;
mod dial;
mod io;
mod listen;
mod plain;
#[cfg(test)]
mod tests;

pub use self::{
    dial::{MuxDial, MuxDialError},
    io::MuxIo,
    listen::MuxListen,
    plain::plain,
};

use std::time::Duration;

/// How long a carrier's handshake may take, and the beginning of a stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// The streams of a carrier, by default.
const STREAMS: usize = 1024;

/// What both ends of a stream say first.
const OPEN: u8 = 1;
