//! QUIC (RFC 9000) as an endpoint, by [quinn](https://docs.rs/quinn): TLS 1.3 over UDP, where one
//! bidirectional stream is one connection.
//!
//! [`QuicListen`] is an endpoint: it accepts QUIC connections, the *carriers*, and yields the streams that come
//! over them. [`QuicDial`] is a dial: its streams share carriers, up to
//! [this many](QuicOptions::streams) a carrier, so that a new connection costs one round trip and no
//! cryptography. A carrier that fails resets its streams, and the next call dials another.
//!
//! Between two Couplets, which agree on the protocol (ALPN) [`ALPN`], QUIC's streams carry what QUIC does not
//! tell:
//!
//! ```text
//!  opened ── 1 ──▶ ◀── 1 ──   both ends, at once: a stream without a byte is there, too,
//!                             and the dial knows that the peer has taken it
//!         ── length (2 bytes, high byte first), this many bytes, … ──▶
//!         ── length 0, FIN ──▶     the end of this direction
//!         ── FIN alone ──▶         a cut: a reset behind all bytes
//! ```
//!
//! | | between two Couplets | with any other protocol |
//! |---|---|---|
//! | an end | its mark, then FIN | FIN |
//! | a reset | FIN without the mark, and STOP_SENDING | RESET_STREAM and STOP_SENDING |
//! | bytes before a reset | all arrive | the peer's QUIC may discard those that it has not handed on (RFC 9000, section 3.2) |
//! | a stream is there | once it is opened | once its first byte is sent |
//!
//! RESET_STREAM, STOP_SENDING and the end of a carrier are a reset here; a stream that is
//! dropped is a reset there. A half-closed stream goes on in the other direction.
//!
//! - **Migration:** a client may change its address, and its streams go on. [`Info::peer`] is the address at the
//!   stream's beginning.
//! - **0-RTT** is off, because its data could be replayed.
//! - **Idle:** each end pings the other [each 15 s](QuicOptions::keep_alive), and gives a silent peer up after
//!   30 s. A carrier without a stream is closed by the server after a minute.
//! - **Back-pressure:** a peer sends at most [256 KiB](QuicOptions::window) ahead of the reader of a stream. A
//!   reader that stops holds up no other stream.
//! - **Bounds:** [100 streams](QuicOptions::streams) a carrier, [128 carriers](QuicListenOptions::carriers), [1024
//!   handshakes](QuicListenOptions::handshakes) under way, shared fairly among the addresses, each of 10 s. While
//!   64 or more are under way, a client has to prove its address first (a Retry packet, RFC 9000, section 8.1.2).
//!
//! **Where:** in place of a side's endpoint. **Splice:** none, both directions are copied. **Memory:** of a
//! stream up to 256 KiB while it is not read, and what is on its way to the peer.
//!
//! [`Info::peer`]: couplet_endpoint::Info::peer
//!
//! ```no_run
//! use couplet_endpoint::{BoxError, Dial};
//! use couplet_protocols::{
//!     quic::{QuicDial, QuicListen, QuicOptions},
//!     tls::{TlsAcceptConfig, TlsCertificate, TlsConnectConfig, roots_from_file},
//! };
//!
//! # async fn run() -> Result<(), BoxError> {
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! let server = TlsAcceptConfig::new(certificate).build()?;
//! let listen = QuicListen::bind("*:4433", server, QuicOptions::new()).await?;
//!
//! let client = TlsConnectConfig::with_roots(roots_from_file("ca.pem")?).build()?;
//! let dial = QuicDial::new(Dial::to("relay.example:4433")?, client, QuicOptions::new())?;
//! let conn = dial.connect().await?;
//! # Ok(())
//! # }
//! ```

mod carrier;
mod dial;
mod error;
mod hub;
mod io;
mod linger;
mod listen;
mod options;
mod pieces;
mod socket;
#[cfg(test)]
mod tests;

pub use self::{
    dial::QuicDial,
    error::{QuicConfigError, QuicDialError},
    io::QuicIo,
    linger::delivered,
    listen::{QuicListen, QuicListenOptions},
    options::QuicOptions,
};

use std::time::Duration;

/// The application protocol (ALPN) by which two Couplets know each other. It is offered, and accepted, unless the
/// configuration of TLS names others.
pub const ALPN: &[u8] = b"couplet/1";

/// How long a handshake may take, and the beginning of a stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server keeps a carrier without a stream.
const UNUSED: Duration = Duration::from_secs(60);

/// What both ends of a stream say first.
const OPEN: u8 = 1;

/// The code of an end on purpose.
const DONE: quinn::VarInt = quinn::VarInt::from_u32(0);

/// The code of a reset.
const CUT: quinn::VarInt = quinn::VarInt::from_u32(1);

/// The code of a stream, or a carrier, that is not taken.
const REFUSED: quinn::VarInt = quinn::VarInt::from_u32(2);
