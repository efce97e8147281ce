use std::time::Duration;

use couplet_endpoint::{Conn, Info, Io, Replay};
use couplet_layers::boxed_handshake;
use tokio::io::AsyncWriteExt;
use tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{
    EXACT, PING, PLAIN, WsIo, WsNotAccepted, WsPath,
    head::{Answer, Upgrade, answer},
    io::Role,
};
use crate::http_head::{LONGEST, take};

/// Speaks WebSocket as the client with the server of a connection. See the [module](super).
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct WsConnect {
    path: WsPath,
    host: Option<String>,
    ping: Option<Duration>,
}

// ===== impl WsConnect =====

impl WsConnect {
    /// Asks for this path of the host that was dialled.
    pub const fn new(path: WsPath) -> Self {
        Self {
            path,
            host: None,
            ping: Some(PING),
        }
    }

    /// Asks for this host, in place of the one that was dialled.
    ///
    /// # Panics
    ///
    /// If it has a character that no host has: a blank, a control character, or one that is not ASCII.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(
            is_host,
            "{host:?} is no host: `example.org` or `example.org:8080`"
        );
        self.host = Some(host);
        self
    }

    /// Pings the peer at this interval; 30 s by default, `None` for never.
    #[must_use]
    pub const fn ping(mut self, every: Option<Duration>) -> Self {
        self.ping = every;
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<WsIo<Replay<I>>>, WsNotAccepted> {
        let mut conn = conn.map_io(Replay::new);
        let key = generate_key();
        let host = match &self.host {
            Some(host) => host.clone(),
            None => dialled(&conn.info),
        };
        // A server that takes the first without a look takes the one without an end of its own.
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {PLAIN}, {EXACT}\r\n\r\n",
            self.path
        );
        let io = &mut conn.io;
        io.write_all(request.as_bytes())
            .await
            .map_err(WsNotAccepted::Io)?;
        io.flush().await.map_err(WsNotAccepted::Io)?;
        let mut room = LONGEST;
        let answer = loop {
            let (answer, len) = take(io, room, answer).await?;
            match answer.status {
                // Said before the answer proper.
                100 | 102..=199 => room -= len,
                _ => break answer,
            }
        };
        let is_exact = judge(&answer, &key)?;
        let ping = self.ping;
        Ok(conn.map_io(|io| WsIo::new(io, Role::Client, is_exact, ping)))
    }
}

/// The host that was dialled, and its port unless it is one of HTTP's own.
fn dialled(info: &Info) -> String {
    match &info.target {
        None => "localhost".to_owned(),
        Some(target) if matches!(target.port(), 80 | 443) => target.host().to_string(),
        Some(target) => target.to_string(),
    }
}

/// Whether the server has agreed on ends of streams.
fn judge(answer: &Answer, key: &str) -> Result<bool, WsNotAccepted> {
    if answer.status != 101 {
        let said = format!("{} {}", answer.status, answer.reason);
        return Err(WsNotAccepted::Status(said.trim_end().to_owned()));
    }
    if answer.upgrade != Upgrade::WebSocket {
        return Err(WsNotAccepted::Answer("Upgrade"));
    }
    if answer.accept.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(WsNotAccepted::Answer("Sec-WebSocket-Accept"));
    }
    if answer.has_extensions {
        return Err(WsNotAccepted::Answer("Sec-WebSocket-Extensions"));
    }
    match answer.protocols.as_slice() {
        [] => Ok(false),
        [one] if one == EXACT => Ok(true),
        [one] if one == PLAIN => Ok(false),
        _ => Err(WsNotAccepted::Answer("Sec-WebSocket-Protocol")),
    }
}

boxed_handshake!(WsConnect => Conn<WsIo<Replay<I>>>, WsNotAccepted, WebSocket);
