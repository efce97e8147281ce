use std::io;

use thiserror::Error;

use super::decode::BadFrame;
use crate::http_head::{LONGEST, NoHead};

/// A client asked for no WebSocket that is here. `Display` escapes what the client said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WsRefused {
    /// The connection failed, or ended before the request did.
    #[error("reading the WebSocket request failed")]
    Io(#[source] io::Error),
    /// The head of the request is longer than 8 KiB.
    #[error("head of the request is longer than {LONGEST} bytes")]
    TooLong,
    /// The client speaks another protocol, or not well.
    #[error("invalid HTTP/1.1 request: {0}")]
    Invalid(String),
    /// The request has another method.
    #[error("method is not GET")]
    Method,
    /// The request asks for no WebSocket, or for another version of it.
    #[error("request asks for no WebSocket of version 13")]
    NoWebSocket,
    /// There is no WebSocket at this path.
    #[error("path has no WebSocket: {}", .0.escape_debug())]
    Path(String),
    /// The request is for another host.
    #[error("request is for another host: {}", .0.escape_debug())]
    Host(String),
    /// A page of a site that is not allowed asks.
    #[error("page of a site that is not allowed: {}", .0.escape_debug())]
    Origin(String),
}

/// A server did not agree to speak WebSocket. `Display` escapes what the server said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WsNotAccepted {
    /// The connection failed, or ended before the answer did.
    #[error("WebSocket handshake failed")]
    Io(#[source] io::Error),
    /// The server's answer is no HTTP/1.1.
    #[error("invalid answer to the WebSocket request: {0}")]
    Invalid(String),
    /// The server answered with another status than 101.
    #[error("server has no WebSocket at this path: {}", .0.escape_debug())]
    Status(String),
    /// The server's answer does not belong to our request.
    #[error("answer to the WebSocket request lacks or has a wrong {0}")]
    Answer(&'static str),
}

/// A WebSocket broke off.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WsBroken {
    /// The peer does not keep to the protocol.
    #[error("invalid WebSocket frame")]
    Frame(#[source] BadFrame),
    /// The peer closed, and not because all was said.
    #[error("WebSocket closed with code {code}: {reason}")]
    Closed {
        /// The code (RFC 6455, section 7.4).
        code: u16,
        /// The peer's words, escaped.
        reason: String,
    },
    /// The connection ended without a Close.
    #[error("stream cut: the connection ended without the frame that ends the stream")]
    Cut,
    /// The peer answers no ping.
    #[error("peer is silent, and answers no ping")]
    Silent,
}

/// A path can't be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("path must begin with `/` and have visible ASCII characters without `#`, 1024 at most")]
pub struct InvalidWsPath;

// ===== from a head that was not read =====

impl From<NoHead> for WsRefused {
    fn from(why: NoHead) -> Self {
        match why {
            NoHead::Ended => Self::Io(io::ErrorKind::UnexpectedEof.into()),
            NoHead::TooLong => Self::TooLong,
            NoHead::Invalid(error) => Self::Invalid(error.to_string()),
            NoHead::Io(error) => Self::Io(error),
        }
    }
}

impl From<NoHead> for WsNotAccepted {
    fn from(why: NoHead) -> Self {
        match why {
            NoHead::Ended => Self::Io(io::ErrorKind::UnexpectedEof.into()),
            NoHead::TooLong => Self::Invalid(format!("its head is longer than {LONGEST} bytes")),
            NoHead::Invalid(error) => Self::Invalid(format!("no HTTP/1.1: {error}")),
            NoHead::Io(error) => Self::Io(error),
        }
    }
}
