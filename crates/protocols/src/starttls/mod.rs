//! Begins TLS in protocols that start in the clear: PostgreSQL with `SSLRequest`, SMTP with STARTTLS (RFC 3207).
//!
//! [`StartTlsAccept`] answers the request as the server, so that TLS follows: for a [`Sniff`](crate::Sniff) that
//! finds the server name (SNI), or for TLS that ends here. [`StartTlsConnect`] sends the request as the client, to a
//! server that then gets the TLS of the relay's client, or TLS of our own.
//!
//! ```text
//!  client ── SSLRequest ──▶ StartTlsAccept    ┊    StartTlsConnect ── SSLRequest ──▶ server
//!         ◀── S ──                            ┊                    ◀── S ──
//!         ── ClientHello: db1.example ──▶ Sniff ─▶ route ─▶ ── the same ──▶
//! ```
//!
//! - Nothing that comes in the clear behind the last word is taken for more than TLS, on either side: a client,
//!   or one on the way, that says more puts it before TLS, which then fails.
//! - A client of PostgreSQL may ask for GSS encryption first, and is told that there is none; one that begins with
//!   TLS at once (`sslnegotiation=direct`) is let through. A client that wants no TLS is told that it is needed.
//! - A client of SMTP is answered with as much of the protocol as there is before STARTTLS. Our name is the address
//!   that the client came to.
//!
//! **Where:** on a side stack, above `Sniff` or TLS. **Splice:** kept once TLS has begun.
//! **Bounds:** 8 bytes at a time of PostgreSQL; lines of 512 bytes, 20 commands and 100 lines of answers of SMTP.
//!
//! ```
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{Sniff, StartTls, StartTlsAccept};
//! use tower::ServiceBuilder;
//!
//! # fn stack<S: Clone>(place: S) {
//! let stack = ServiceBuilder::new()
//!     .layer(HandshakeLayer::new(StartTlsAccept::new(StartTls::Postgres)))
//!     .layer(HandshakeLayer::new(Sniff::new()))
//!     .service(place);
//! # }
//! ```

mod postgres;
mod smtp;
#[cfg(test)]
mod tests;

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Conn, Info, Io, Replay, io::send_and_close};
use couplet_layers::{Handshake, LineError};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;

/// How long a client has to read why it is refused.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// A protocol in which TLS begins after a word in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartTls {
    /// PostgreSQL.
    Postgres,
    /// SMTP, with STARTTLS.
    Smtp,
}

/// Answers a client that asks for TLS. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct StartTlsAccept(StartTls);

/// Asks a server for TLS. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct StartTlsConnect(StartTls);

/// No TLS follows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartTlsError {
    /// The client wants to go on in the clear, or to leave.
    #[error("client wants no TLS: {0}")]
    NotWanted(&'static str),
    /// The server has no TLS.
    #[error("server offers no TLS: {0}")]
    NotOffered(String),
    /// The bytes are not of this protocol.
    #[error("peer does not speak {0}")]
    Foreign(StartTls),
    /// The peer said too much.
    #[error("peer sends too much before TLS")]
    TooLong,
    /// The connection ended before TLS.
    #[error("connection ended before TLS")]
    Ended,
    /// The connection failed.
    #[error("connection failed before TLS")]
    Io(#[from] io::Error),
}

/// Why a client is refused, and what it is told.
struct Refusal {
    why: StartTlsError,
    reply: Option<Bytes>,
}

// ===== impl StartTls =====

impl fmt::Display for StartTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Smtp => "SMTP",
        })
    }
}

// ===== the handshakes =====

macro_rules! ends {
    ($($end:ident: $talk:ident,)*) => { $(
        impl $end {
            /// Of this protocol.
            pub const fn new(protocol: StartTls) -> Self {
                Self(protocol)
            }
        }

        impl<I: Io> Handshake<Conn<I>> for $end {
            type Output = Conn<Replay<I>>;
            type Error = StartTlsError;
            type Future = BoxFuture<'static, Result<Self::Output, StartTlsError>>;

            fn handshake(&self, conn: Conn<I>) -> Self::Future {
                $talk(self.0, conn.map_io(Replay::new)).boxed()
            }
        }
    )* };
}

ends! {
    StartTlsAccept: accept,
    StartTlsConnect: connect,
}

async fn accept<I: Io>(
    protocol: StartTls,
    mut conn: Conn<Replay<I>>,
) -> Result<Conn<Replay<I>>, StartTlsError> {
    let accepted = match protocol {
        StartTls::Postgres => postgres::accept(&mut conn.io).await,
        StartTls::Smtp => smtp::accept(&mut conn.io, &own_name(&conn.info)).await,
    };
    match accepted {
        Ok(()) => {
            conn.info.has_spoken = true;
            Ok(conn)
        }
        Err(Refusal { why, reply }) => {
            if let Some(reply) = reply {
                send_and_close(conn.io, &reply, REPLY_TIMEOUT).await;
            }
            Err(why)
        }
    }
}

async fn connect<I: Io>(
    protocol: StartTls,
    mut conn: Conn<Replay<I>>,
) -> Result<Conn<Replay<I>>, StartTlsError> {
    match protocol {
        StartTls::Postgres => postgres::connect(&mut conn.io).await?,
        StartTls::Smtp => smtp::connect(&mut conn.io, &own_name(&conn.info)).await?,
    }
    Ok(conn)
}

/// Our address, as SMTP writes one (RFC 5321, section 4.1.3).
fn own_name(info: &Info) -> String {
    match info.local.map(|local| local.ip().to_canonical()) {
        Some(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
        Some(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        None => "localhost".to_owned(),
    }
}

// ===== impl Refusal =====

impl<E: Into<StartTlsError>> From<E> for Refusal {
    fn from(why: E) -> Self {
        let why = why.into();
        Self { why, reply: None }
    }
}

impl From<LineError> for StartTlsError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::TooLong(_) => Self::TooLong,
            LineError::Ended => Self::Ended,
            LineError::Io(error) => Self::Io(error),
        }
    }
}
