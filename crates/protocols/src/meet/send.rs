use std::io;

use couplet_endpoint::{BoxError, Conn, Io, Replay, Side};
use couplet_layers::{Handshake, LineError, RefusalCause, take_line};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{MeetingKey, Redirect, answer::OK, request::Request};
use crate::signed_token::SignedToken;

/// The longest answer that is read, with its end: a name and port in it are shorter.
const MAX_ANSWER: usize = 280;

/// Asks the relay for a partner, and waits until the partner is there. See the [module](super).
///
/// Logs that it waits, with the key's [fingerprint](MeetingKey::fingerprint): two ends that wait with
/// different ones have different keys.
#[derive(Clone, Debug)]
pub struct Meet {
    key: MeetingKey,
    side: Option<Side>,
    token: Option<SignedToken>,
}

/// What a relay has answered.
pub(super) enum Answer<I> {
    Met(Conn<Replay<I>>),
    Goto(Conn<Replay<I>>, Redirect),
}

/// The rendezvous gave no partner.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotMet {
    /// The connection failed before the line was sent.
    #[error("asking the rendezvous failed")]
    Send(#[source] io::Error),
    /// There was no answer, or one that is too long.
    #[error("answer of the rendezvous missing")]
    Answer(#[source] LineError),
    /// The relay's reason. `Display` escapes it.
    #[error("rendezvous refuses: {}", .0.escape_debug())]
    Refused(String),
    /// The relay had sent the client to another one, and can't be dialled again.
    #[error("rendezvous can't be dialled again")]
    Redial(#[source] BoxError),
}

// ===== impl Meet =====

impl Meet {
    /// Asks for a partner with the same key.
    pub fn new(key: MeetingKey) -> Self {
        Self {
            key,
            side: None,
            token: None,
        }
    }

    /// Comes as one of this side, so that a partner on the same side is not joined.
    #[must_use]
    pub const fn side(mut self, side: Side) -> Self {
        self.side = Some(side);
        self
    }

    /// Sends the relay this token.
    #[must_use]
    pub fn token(mut self, token: SignedToken) -> Self {
        self.token = Some(token);
        self
    }

    pub(super) fn line(&self, follows: bool) -> Vec<u8> {
        let token = self.token.as_ref();
        let token = token.map(|token| token.as_str().as_bytes());
        let Self { key, side, .. } = *self;
        let request = Request {
            key,
            side,
            token,
            follows,
        };
        request.line()
    }

    /// Asks, and waits for the answer. A client that follows may be sent elsewhere.
    pub(super) fn ask<I: Io>(
        &self,
        mut conn: Conn<I>,
        follows: bool,
    ) -> impl Future<Output = Result<Answer<I>, NotMet>> + Send + use<I> {
        let (line, key) = (self.line(follows), self.key);
        async move {
            conn.io.write_all(&line).await.map_err(NotMet::Send)?;
            conn.io.flush().await.map_err(NotMet::Send)?;
            drop(line);
            tracing::info!(conn = conn.info.id.get(), relay = %conn.info.peer_name(), key = key.fingerprint(),
                "waits at the rendezvous for a partner with the same key");
            let mut conn = conn.map_io(Replay::new);
            let answer = take_line(&mut conn.io, MAX_ANSWER)
                .await
                .map_err(NotMet::Answer)?;
            if *answer == *OK.as_bytes() {
                return Ok(Answer::Met(conn));
            }
            match Redirect::parse(&answer).filter(|_| follows) {
                Some(redirect) => Ok(Answer::Goto(conn, redirect)),
                None => Err(refused(&answer)),
            }
        }
    }
}

fn refused(answer: &[u8]) -> NotMet {
    NotMet::Refused(String::from_utf8_lossy(answer).into_owned())
}

impl<I: Io> Handshake<Conn<I>> for Meet {
    type Output = Conn<Replay<I>>;
    type Error = NotMet;
    type Future = BoxFuture<'static, Result<Self::Output, NotMet>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let asking = self.ask(conn, false);
        async move {
            match asking.await? {
                Answer::Met(conn) => Ok(conn),
                Answer::Goto(_, redirect) => Err(refused(redirect.line().trim_end().as_bytes())),
            }
        }
        .boxed()
    }
    fn cause(&self) -> RefusalCause {
        RefusalCause::Meeting
    }
}
