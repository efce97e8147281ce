use std::{io, time::Duration};

use base64::{Engine, engine::DecodePaddingMode, engine::general_purpose::GeneralPurpose};
use bytes::Bytes;
use couplet_endpoint::{Conn, Io, Replay, io::send_and_close};
use couplet_layers::{Identity, boxed_handshake};
use couplet_pairing::DialReply;
use thiserror::Error;

use super::head::{Request, request};
use crate::{
    http_head::{LONGEST, NoHead, take},
    proxy::{DialFailure, InvalidTarget, RequestedTarget, Users},
};

/// How long a client that is refused has to read that.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Takes the request of a client, as an HTTP proxy for CONNECT alone. See the [module](super).
///
/// What the client asks for is then in its [`Info`](couplet_endpoint::Info): a [`RequestedTarget`], and
/// the [`Identity`] of a client that has logged in. The client's answer is a [`DialReply`].
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug, Default)]
pub struct HttpConnectAccept {
    users: Option<Users>,
}

/// A client asked for nothing that this proxy gives. `Display` escapes what the client said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpConnectRefused {
    /// The connection failed.
    #[error("reading the CONNECT request failed")]
    Io(#[source] io::Error),
    /// The connection ended before the request did.
    #[error("connection ended before the CONNECT request")]
    Ended,
    /// The head of the request is longer than 8 KiB.
    #[error("head of the request is longer than {LONGEST} bytes")]
    TooLong,
    /// The client speaks another protocol, or not well.
    #[error("invalid HTTP/1.1 request: {0}")]
    Invalid(String),
    /// The request has another method.
    #[error("method is not CONNECT")]
    Method,
    /// The request has no user and password, or another scheme, and one of the users is asked for.
    #[error("user and password missing")]
    NoLogin,
    /// The user is unknown, or the password is another.
    #[error("unknown user, or wrong password")]
    Login,
    /// The target can't be dialled.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
}

// ===== impl HttpConnectAccept =====

impl HttpConnectAccept {
    /// Accepts clients without authentication.
    pub const fn new() -> Self {
        Self { users: None }
    }

    /// Accepts these users alone.
    #[must_use]
    pub fn users(mut self, users: Users) -> Self {
        self.users = Some(users);
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, HttpConnectRefused> {
        let mut conn = conn.map_io(Replay::new);
        match self.request(&mut conn.io).await {
            Ok((target, user)) => {
                if let Some(user) = user {
                    conn.info.extensions.insert(Identity::new(user));
                }
                target.put_into(&mut conn.info);
                DialReply::new(|dialled| match dialled {
                    Ok(_) => Bytes::from_static(ESTABLISHED),
                    Err(error) => refusal(status_of(DialFailure::of(error)), ""),
                })
                .put_into(&mut conn.info);
                Ok(conn)
            }
            Err(refused) => {
                if let Some(reply) = refused.reply() {
                    send_and_close(conn.io, &reply, REPLY_TIMEOUT).await;
                }
                Err(refused)
            }
        }
    }

    async fn request<I: Io>(
        &self,
        io: &mut Replay<I>,
    ) -> Result<(RequestedTarget, Option<String>), HttpConnectRefused> {
        let (request, _) = take(io, LONGEST, request).await.map_err(|why| match why {
            NoHead::Ended => HttpConnectRefused::Ended,
            NoHead::TooLong => HttpConnectRefused::TooLong,
            NoHead::Invalid(error) => HttpConnectRefused::Invalid(error.to_string()),
            NoHead::Io(error) => HttpConnectRefused::Io(error),
        })?;
        let user = match &self.users {
            None => None,
            Some(users) => Some(login(&request, users)?),
        };
        if !request.is_connect {
            return Err(HttpConnectRefused::Method);
        }
        Ok((target(&request.target)?, user))
    }
}

fn login(request: &Request, users: &Users) -> Result<String, HttpConnectRefused> {
    // With or without padding, as clients differ.
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let said = request.authorization.as_deref().unwrap_or_default();
    let scheme = said
        .split_at_checked(6)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "));
    let (_, said) = scheme.ok_or(HttpConnectRefused::NoLogin)?;
    let said = BASE64
        .decode(said.trim_ascii())
        .map_err(|_| HttpConnectRefused::Login)?;
    let colon = said.iter().position(|byte| *byte == b':');
    let (user, password) = said.split_at(colon.ok_or(HttpConnectRefused::Login)?);
    let found = users.find(user, &password[1..]);
    found.map(str::to_owned).ok_or(HttpConnectRefused::Login)
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn target(said: &[u8]) -> Result<RequestedTarget, InvalidTarget> {
    let colon = said.iter().rposition(|byte| *byte == b':');
    let (host, port) = said.split_at(colon.ok_or(InvalidTarget::Port)?);
    let port = &port[1..];
    let is_number = !port.is_empty() && port.iter().all(u8::is_ascii_digit);
    let port = str::from_utf8(port).ok().filter(|_| is_number);
    let port = port
        .and_then(|port| port.parse().ok())
        .ok_or(InvalidTarget::Port)?;
    RequestedTarget::named(host, port)
}

const fn status_of(failure: DialFailure) -> &'static str {
    match failure {
        DialFailure::Denied => "403 Forbidden",
        DialFailure::TimedOut => "504 Gateway Timeout",
        _ => "502 Bad Gateway",
    }
}

fn refusal(status: &str, field: &str) -> Bytes {
    format!("HTTP/1.1 {status}\r\n{field}Content-Length: 0\r\nConnection: close\r\n\r\n").into()
}

boxed_handshake!(HttpConnectAccept => Conn<Replay<I>>, HttpConnectRefused);

// ===== impl HttpConnectRefused =====

impl HttpConnectRefused {
    /// What the client is told; nothing where the client is gone.
    fn reply(&self) -> Option<Bytes> {
        Some(match self {
            Self::Io(_) | Self::Ended => return None,
            Self::TooLong => refusal("431 Request Header Fields Too Large", ""),
            Self::Invalid(_) | Self::Target(_) => refusal("400 Bad Request", ""),
            Self::Method => refusal("405 Method Not Allowed", "Allow: CONNECT\r\n"),
            Self::NoLogin | Self::Login => refusal(
                "407 Proxy Authentication Required",
                "Proxy-Authenticate: Basic realm=\"couplet\", charset=\"UTF-8\"\r\n",
            ),
        })
    }
}
