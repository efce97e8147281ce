use std::{sync::Arc, time::Duration};

use couplet_endpoint::{Conn, Io, Replay, io::send_and_close};
use couplet_layers::boxed_handshake;
use tokio::io::AsyncWriteExt;
use tungstenite::handshake::derive_accept_key;

use super::{
    EXACT, PING, PLAIN, WsIo, WsPath, WsRefused,
    head::{Request, Upgrade, request},
    io::Role,
};
use crate::http_head::{LONGEST, take};

/// How long a client that is refused has to read that.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Speaks WebSocket as the server with the client of a connection. See the [module](super).
///
/// A browser says which site a page comes from. A page may come in only where its site is
/// [allowed](Self::origins): any other site's page could otherwise talk to this port through the
/// browser of a person that may reach it.
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct WsAccept {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    path: WsPath,
    hosts: Vec<String>,
    origins: WsOrigins,
    ping: Option<Duration>,
}

/// The sites whose pages may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WsOrigins {
    /// These, as a browser names them: `https://example.org`, with a port where it is not the scheme's
    /// own. None by default, so that only programs come in, which name no site.
    These(Vec<String>),
    /// All sites.
    Any,
}

// ===== impl WsAccept =====

impl WsAccept {
    /// Accepts requests for this path.
    pub fn new(path: WsPath) -> Self {
        Self {
            settings: Arc::new(Settings {
                path,
                hosts: Vec::new(),
                origins: WsOrigins::These(Vec::new()),
                ping: Some(PING),
            }),
        }
    }

    /// Accepts requests for these hosts alone, with the port or for any port. Any host by default.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Arc::make_mut(&mut self.settings).hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of these sites in. None by default.
    #[must_use]
    pub fn origins(mut self, origins: WsOrigins) -> Self {
        Arc::make_mut(&mut self.settings).origins = origins;
        self
    }

    /// Pings the peer at this interval; 30 s by default, `None` for never.
    #[must_use]
    pub fn ping(mut self, every: Option<Duration>) -> Self {
        Arc::make_mut(&mut self.settings).ping = every;
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<WsIo<Replay<I>>>, WsRefused> {
        let mut conn = conn.map_io(Replay::new);
        let judged = match take(&mut conn.io, LONGEST, request).await {
            Ok((request, _)) => self.settings.judge(&request).map(|key| (request, key)),
            Err(why) => Err(why.into()),
        };
        let (request, key) = match judged {
            Ok(judged) => judged,
            Err(refused) => {
                if let Some(reply) = refused.reply() {
                    send_and_close(conn.io, reply.as_bytes(), REPLY_TIMEOUT).await;
                }
                return Err(refused);
            }
        };
        // A browser wants one of those it has offered.
        let offered = request.protocols.iter();
        let protocol = [EXACT, PLAIN]
            .into_iter()
            .find(|ours| offered.clone().any(|theirs| theirs == ours))
            .or_else(|| request.protocols.first().map(String::as_str));
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            derive_accept_key(&key)
        );
        if let Some(protocol) = protocol {
            answer += &format!("Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        answer += "\r\n";
        let io = &mut conn.io;
        io.write_all(answer.as_bytes())
            .await
            .map_err(WsRefused::Io)?;
        io.flush().await.map_err(WsRefused::Io)?;
        let (is_exact, ping) = (protocol == Some(EXACT), self.settings.ping);
        Ok(conn.map_io(|io| WsIo::new(io, Role::Server, is_exact, ping)))
    }
}

boxed_handshake!(WsAccept => Conn<WsIo<Replay<I>>>, WsRefused, WebSocket);

// ===== impl Settings =====

impl Settings {
    /// The key of a request that is all right.
    fn judge(&self, request: &Request) -> Result<Vec<u8>, WsRefused> {
        if !request.is_get {
            return Err(WsRefused::Method);
        }
        if !self.path.is_of(&request.target) {
            return Err(WsRefused::Path(request.target.clone()));
        }
        let host = request.host.as_deref().unwrap_or_default();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|known| is_host(known, host)) {
            return Err(WsRefused::Host(String::from_utf8_lossy(host).into_owned()));
        }
        for origin in &request.origin {
            let origin = String::from_utf8_lossy(origin);
            let is_allowed = match &self.origins {
                WsOrigins::Any => true,
                WsOrigins::These(sites) => {
                    sites.iter().any(|site| site.eq_ignore_ascii_case(&origin))
                }
            };
            if !is_allowed {
                return Err(WsRefused::Origin(origin.into_owned()));
            }
        }
        let is_version_13 = request.version.as_deref() == Some(b"13");
        let key = request.key.as_ref().filter(|key| is_key(key));
        match key {
            Some(key) if is_version_13 && request.upgrade == Upgrade::WebSocket => Ok(key.clone()),
            _ => Err(WsRefused::NoWebSocket),
        }
    }
}

/// The base64 of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let is_of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_of_base64)
}

/// Whether a `Host` field names this host, with this port or, where it has none, with any.
fn is_host(known: &str, said: &[u8]) -> bool {
    let Ok(said) = str::from_utf8(said) else {
        return false;
    };
    let port = said
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'));
    let name = port.map_or(said, |(name, _)| name);
    known.eq_ignore_ascii_case(said) || known.eq_ignore_ascii_case(name)
}

// ===== impl WsRefused =====

impl WsRefused {
    /// What the client is told; nothing where the client is gone.
    fn reply(&self) -> Option<String> {
        let (status, field) = match self {
            Self::Io(_) => return None,
            Self::TooLong => ("431 Request Header Fields Too Large", ""),
            Self::Invalid(_) => ("400 Bad Request", ""),
            Self::Method => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Self::NoWebSocket => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            Self::Path(_) => ("404 Not Found", ""),
            Self::Host(_) => ("421 Misdirected Request", ""),
            Self::Origin(_) => ("403 Forbidden", ""),
        };
        Some(format!(
            "HTTP/1.1 {status}\r\n{field}Content-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    }
}
