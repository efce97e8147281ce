//! WebSocket (RFC 6455) as the server or as the client, by [tungstenite](https://docs.rs/tungstenite).
//!
//! A connection in WebSocket passes proxies that let only HTTP/1.1 through, and a page in a browser reaches a TCP
//! server.
//!
//! [`WsAccept`] and [`WsConnect`] are [handshakes](couplet_layers::handshake) of a side stack. The layers below them
//! see plain bytes; each piece that is written is a binary message. Messages of text are taken as bytes.
//! There is no compression: `Zstd` below compresses better.
//!
//! How a direction ends:
//!
//! - **Between two ends that speak `couplet.1`**, a subprotocol, each direction ends by itself: an empty
//!   binary message is the end of the stream, and the other direction goes on (half-close). Close with
//!   1000 follows once both have ended. The end of another relay speaks it, and so can a page:
//!   `new WebSocket(url, "couplet.1")`, and `send(new Uint8Array())` at its end.
//! - **With any other peer**, our end is a Close with 1000, as WebSocket has no half-close; what still
//!   comes is read until the peer's own Close. Most peers send nothing after a Close, so an answer to a
//!   half-close is lost. A peer's Close with 1000 or without a code is the end of its stream; what is
//!   written after it is sent, then our Close.
//! - **A cut** is a Close with another code (1001 as well: a page that is left), a frame that keeps not to
//!   the protocol, or a connection that ends without any of this. The other side of the pair is reset. We
//!   cut with 1011 and a reset.
//!
//! **Pings** keep what is between the ends from cutting an idle connection: both ends send one every 30 s
//! ([`ping`](WsAccept::ping)), also half-closed, and while the connection waits for its partner. A peer of
//! which nothing at all was heard twice in a row is given up. A peer that reads nothing for long answers no
//! ping; it is not given up while it can't be told from one that is stuck.
//!
//! **Pages:** a request that names a site (`Origin`) is refused unless the site is
//! [allowed](WsAccept::origins). **Bounds:** a head of 8 KiB with 100 fields; no bound on messages, as none
//! is kept: what is carried goes on as it comes.
//!
//! **Where:** on a side stack, behind TLS and a PROXY header, before a token. **Splice:** from a server to its
//! client, on Linux, as only a client's bytes are masked. **Memory:** 0.6 KiB a connection; 64 KiB more while a
//! peer does not read.
//!
//! ```
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{WsAccept, WsConnect};
//!
//! let listening = HandshakeLayer::new(WsAccept::new("/relay".parse()?));
//! let dialled = HandshakeLayer::new(WsConnect::new("/relay".parse()?).host("example.org"));
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```

mod accept;
mod connect;
mod decode;
mod encode;
mod error;
mod head;
mod io;
mod mask;
mod path;
mod pulse;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    accept::{WsAccept, WsOrigins},
    connect::WsConnect,
    decode::BadFrame,
    error::{InvalidWsPath, WsBroken, WsNotAccepted, WsRefused},
    io::WsIo,
    path::WsPath,
};

/// The subprotocol in which an empty binary message is the end of the stream.
const EXACT: &str = "couplet.1";

/// The subprotocol of other programs that carry bytes: messages mean nothing.
const PLAIN: &str = "binary";

/// How often a peer is pinged by default: more often than what is between cuts idle connections, which is
/// after 60 s with nginx and most clouds.
const PING: Duration = Duration::from_secs(30);
