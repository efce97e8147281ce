//! What a connection's first bytes show it to be, without taking one from it.
//!
//! [`Sniff`] is a [handshake](crate::handshake) of a side whose connections come to us. It looks at
//! what the client says first and puts the [`Protocol`] into the extensions of
//! [`Info`](couplet_endpoint::Info): TLS with the name and the protocols that the client asks for,
//! SSH, HTTP/1 with its host, HTTP/2. It answers nothing, and refuses nobody: what it does not know
//! is [`Unknown`](Protocol::Unknown), and whoever says nothing is [`Silent`](Protocol::Silent), as
//! the clients of protocols are where the server speaks first. All bytes are read again by the
//! partner.
//!
//! That is for decisions on access, and to choose what is dialled:
//! [`dial_by`](couplet_endpoint::dial_by). What it finds is the client's own word, and proves
//! nothing: who asks for a name need not be let in there; with Encrypted Client Hello it is the name
//! that is meant to be seen. Of HTTP it sees the first `Host` of the first request, and others
//! for other hosts may follow on the same connection.
//!
//! ```
//! use couplet_endpoint::{BoxError, Dial, Info, dial_by};
//! use couplet_layers::{HandshakeLayer, Protocol, Sniff};
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
//! - **Where:** above the first that wants to know. Behind TLS of our own it sees what is within.
//! - **Splice:** costs none, once what was looked at has been read.
//! - **Time:** a client that says nothing, or nothing that can be told, is held up for
//!   [`wait`](Sniff::wait), 3 s by default. One that has begun a TLS hello, or has sent the first
//!   line of HTTP/1, has to finish it before the deadline of the
//!   [`HandshakeLayer`](crate::HandshakeLayer).
//! - **Memory:** at most 16 KiB while it looks, and until the relay has read them; what a TLS client
//!   asks for, less than that, as long as the connection.

mod client_hello;
mod detect;
mod http;
mod protocol;
#[cfg(test)]
mod tests;

pub use self::protocol::{ClientHello, Protocol};

use std::{io, time::Duration};

use couplet_endpoint::{Conn, Io, Replay};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use self::detect::{Look, Until, look};
use crate::handshake::Handshake;

/// How much is looked at.
const LIMIT: usize = 16 * 1024;

/// Finds out what a connection's first bytes are. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Sniff {
    wait: Duration,
}

/// A connection failed before it was known what it is.
#[derive(Debug, Error)]
#[error("reading its first bytes failed")]
pub struct SniffError(#[from] io::Error);

// ===== impl Sniff =====

impl Sniff {
    /// Waits for 3 seconds.
    pub const fn new() -> Self {
        Self {
            wait: Duration::from_secs(3),
        }
    }

    /// How long a client is waited for that says nothing, or nothing that can be told. Where the
    /// server is to speak first, its clients wait as long. 3 s by default: a lost segment is sent
    /// again after one. To be shorter than the deadline of the
    /// [`HandshakeLayer`](crate::HandshakeLayer), which refuses.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl Default for Sniff {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Io> Handshake<Conn<I>> for Sniff {
    type Output = Conn<Replay<I>>;
    type Error = SniffError;
    type Future = BoxFuture<'static, Result<Self::Output, SniffError>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let wait = self.wait;
        async move {
            let mut conn = conn.map_io(Replay::new);
            // As a sleep has it: beyond what the clock can say is as good as never.
            let until = sleep(wait).deadline();
            let protocol = sniff(&mut conn.io, until).await?;
            tracing::debug!(conn = conn.info.id.get(), peer = %conn.info.peer_name(), %protocol, "sniffed");
            conn.info.extensions.insert(protocol);
            Ok(conn)
        }
        .boxed()
    }
}

/// Reads ahead until it is known what it is, or is not to be known.
async fn sniff<I: Io>(io: &mut Replay<I>, until: Instant) -> Result<Protocol, SniffError> {
    loop {
        let (begun, next) = match look(io.ahead()) {
            Look::Is(protocol) => return Ok(protocol),
            Look::Perhaps(next) => (false, next),
            Look::Begun(next) => (true, next),
        };
        // What was looked at is not looked at again for every byte that comes.
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
                // It is late, it has ended, or it is too long.
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
