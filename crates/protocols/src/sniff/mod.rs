//! Detects the client's protocol by the first bytes, without consuming one.
//!
//! [`Sniff`] is a [handshake](couplet_layers::handshake) of a side that clients connect to. It looks at the first
//! bytes of the client and puts the [`Protocol`] into the extensions of
//! [`Info`](couplet_endpoint::Info): TLS with the server name (SNI) and the application protocols
//! (ALPN), SSH, HTTP/1 with the host, HTTP/2. It answers nothing and refuses no client: other bytes are
//! [`Unknown`](Protocol::Unknown), and a client that sends none is [`Silent`](Protocol::Silent), as
//! clients are where the server speaks first. The partner reads all bytes again.
//!
//! The protocol serves decisions on access, and the choice of the server to dial:
//! [`dial_by`](couplet_endpoint::dial_by). It is the client's own word and proves nothing: a client that
//! asks for a name need not be let in there. With Encrypted Client Hello the name is the outer one. Of
//! HTTP it is the first `Host` of the first request; requests for other hosts may follow on the same
//! connection.
//!
//! ```
//! use couplet_endpoint::{BoxError, Dial, Info, dial_by};
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{Protocol, Sniff};
//!
//! let sniff = HandshakeLayer::new(Sniff::new());
//! let dial = dial_by(|client: &Info| match client.extensions.get() {
//!     Some(Protocol::Tls(hello)) if hello.server_name() == Some("example.org") => {
//!         Dial::to("192.0.2.7:443")
//!     }
//!     Some(Protocol::Ssh) => Dial::to("192.0.2.7:22"),
//!     _ => Dial::to("192.0.2.8:80"),
//! });
//! ```
//!
//! - **Where:** above the layers that ask for the protocol. Behind TLS of our own it looks at the plain
//!   text.
//! - **Splice:** kept, once the bytes that were looked at have been read.
//! - **Time:** a client that sends nothing, or nothing that can be told, is held up for
//!   [`wait`](Sniff::wait), 3 s by default. A client that has begun a TLS hello, or has sent the first
//!   line of HTTP/1, must finish before the deadline of the [`HandshakeLayer`](couplet_layers::HandshakeLayer).
//! - **Memory:** at most 16 KiB until the relay has read them; the server name and the protocols of TLS,
//!   which are less, as long as the connection.

mod client_hello;
mod detect;
mod http;
mod look;
mod protocol;
mod reader;
#[cfg(test)]
mod tests;

pub use self::protocol::{ClientHello, Protocol};

#[cfg(feature = "tls")]
use std::net::IpAddr;
use std::{io, time::Duration};

use couplet_endpoint::{Conn, Io, Replay};
use couplet_layers::boxed_handshake;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use self::{
    detect::look,
    look::{LIMIT, Look, Until},
};

/// Detects the protocol of a connection. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Sniff {
    wait: Duration,
}

/// A connection failed before its protocol was detected.
#[derive(Debug, Error)]
#[error("reading the first bytes failed")]
pub struct SniffError(#[from] io::Error);

// ===== impl Sniff =====

impl Sniff {
    /// Waits 3 seconds at most.
    pub const fn new() -> Self {
        Self {
            wait: Duration::from_secs(3),
        }
    }

    /// Waits this long for a client that sends nothing, or nothing that can be told. Where the server
    /// speaks first, all its clients are held up as long. 3 s by default: a lost segment is sent again
    /// after one. Less than the deadline of the [`HandshakeLayer`](couplet_layers::HandshakeLayer), which
    /// refuses.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, SniffError> {
        let mut conn = conn.map_io(Replay::new);
        // A time beyond the clock's range is as good as never, as for a sleep.
        let until = sleep(self.wait).deadline();
        let protocol = sniff(&mut conn.io, until).await?;
        tracing::debug!(conn = conn.info.id.get(), peer = %conn.info.peer_name(), %protocol, "sniffed");
        conn.info.extensions.insert(protocol);
        Ok(conn)
    }
}

impl Default for Sniff {
    fn default() -> Self {
        Self::new()
    }
}

boxed_handshake!(Sniff => Conn<Replay<I>>, SniffError);

/// The server name (SNI) that a TLS client asks for in these first bytes, if it asks for one; or how many
/// bytes have to come before that is known. An address is no name to ask for (RFC 6066, section 3).
#[cfg(feature = "tls")]
pub(crate) fn server_name(bytes: &[u8]) -> Result<Option<Box<str>>, usize> {
    let look = match bytes {
        [] => return Err(1),
        [client_hello::RECORD, ..] => client_hello::look(bytes),
        _ => return Ok(None),
    };
    match look {
        Look::Is(Protocol::Tls(hello)) => {
            let name = hello.server_name;
            Ok(name.filter(|name| name.parse::<IpAddr>().is_err()))
        }
        Look::Perhaps(Until::Len(len)) | Look::Begun(Until::Len(len)) => Err(len),
        _ => Ok(None),
    }
}

/// Reads ahead until the protocol is known, or can't be known.
async fn sniff<I: Io>(io: &mut Replay<I>, until: Instant) -> Result<Protocol, SniffError> {
    loop {
        let (begun, next) = match look(io.ahead()) {
            Look::Is(protocol) => return Ok(protocol),
            Look::Perhaps(next) => (false, next),
            Look::Begun(next) => (true, next),
        };
        // The same bytes are not looked at again for every byte that comes.
        let looked_at = io.ahead().len();
        loop {
            let reading = io.read_ahead(LIMIT);
            let read = if begun {
                reading.await?
            } else {
                match timeout_at(until, reading).await {
                    Ok(read) => read?,
                    Err(_) => 0,
                }
            };
            if read == 0 {
                // Too late, ended, or too long.
                return Ok(match io.ahead() {
                    [] => Protocol::Silent,
                    _ => Protocol::Unknown,
                });
            }
            let enough = match next {
                Until::Len(len) => io.ahead().len() >= len,
                Until::LineFeed => io.ahead()[looked_at..].contains(&b'\n'),
            };
            if enough {
                break;
            }
        }
    }
}
