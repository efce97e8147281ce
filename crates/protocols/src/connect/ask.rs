use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use couplet_endpoint::{Conn, DialAddr, Host, Io, Replay};
use couplet_layers::boxed_handshake;
use tokio::io::AsyncWriteExt;

use super::head::{Answer, answer};
use crate::{
    http_head::{LONGEST, NoHead, take},
    proxy::{DialFailure, Login, ProxyError},
};

/// Asks an HTTP proxy for a connection to the target in
/// [`Info::target`](couplet_endpoint::Info::target), by CONNECT. See the [module](super).
///
/// A name is sent as a name. Has no deadline of its own: a [`Via`](couplet_layers::Via) has, and
/// a [`HandshakeLayer`](couplet_layers::HandshakeLayer).
#[derive(Clone, Debug, Default)]
pub struct HttpConnect {
    login: Option<Login>,
}

// ===== impl HttpConnect =====

impl HttpConnect {
    /// Sends the proxy no authentication.
    pub const fn new() -> Self {
        Self { login: None }
    }

    /// Sends the proxy a user and a password with the first request.
    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    async fn ask<I: Io>(&self, io: &mut Replay<I>, target: &DialAddr) -> Result<(), ProxyError> {
        io.write_all(self.request(target)?.as_bytes()).await?;
        io.flush().await?;
        let mut room = LONGEST;
        loop {
            let (answer, len) = take(io, room, answer).await.map_err(no_answer)?;
            match answer.status {
                // Switched to another protocol, unasked.
                101 => return Err(self.refused(&answer)),
                100..=199 => room -= len,
                200..=299 => return Ok(()),
                _ => return Err(self.refused(&answer)),
            }
        }
    }

    fn request(&self, target: &DialAddr) -> Result<String, ProxyError> {
        if let Host::Scoped(..) = target.host() {
            return Err(ProxyError::Scoped(target.to_string()));
        }
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(login) = &self.login {
            let pair = [login.user().as_bytes(), b":", login.password()].concat();
            request += "Proxy-Authorization: Basic ";
            request += &BASE64.encode(pair);
            request += "\r\n";
        }
        Ok(request + "\r\n")
    }

    fn refused(&self, answer: &Answer) -> ProxyError {
        let failure = match answer.status {
            407 if self.login.is_some() && answer.wants_basic => return ProxyError::LoginRefused,
            407 if answer.wants_basic => return ProxyError::LoginNeeded,
            407 => return ProxyError::NoMethod,
            403 => DialFailure::Denied,
            504 => DialFailure::TimedOut,
            _ => DialFailure::Other,
        };
        let said = format!("{} {}", answer.status, answer.reason);
        ProxyError::Refused {
            failure,
            said: said.trim_end().to_owned(),
        }
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, ProxyError> {
        let mut conn = conn.map_io(Replay::new);
        let target = conn.info.target.clone().ok_or(ProxyError::NoTarget)?;
        self.ask(&mut conn.io, &target).await?;
        Ok(conn)
    }
}

fn no_answer(why: NoHead) -> ProxyError {
    match why {
        NoHead::Ended => ProxyError::Ended,
        NoHead::TooLong => ProxyError::Invalid(format!("its head is longer than {LONGEST} bytes")),
        NoHead::Invalid(error) => ProxyError::Invalid(format!("no HTTP/1.1: {error}")),
        NoHead::Io(error) => error.into(),
    }
}

boxed_handshake!(HttpConnect => Conn<Replay<I>>, ProxyError);
