use std::{io, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use couplet_endpoint::{Conn, Io, Replay};
use couplet_layers::{LineError, boxed_handshake, take_line};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{ANSWER, ASK, Ed25519Key, MAX_LINE, message};

/// Answers the challenge with which a connection's peer begins. See the [module](super).
///
/// Reads at most 256 bytes for the challenge, and does not wait for a verdict: a peer that refuses the
/// answer closes the connection. Has no deadline of its own: the
/// [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct AnswerChallenge {
    key: Arc<Ed25519Key>,
    context: Arc<str>,
}

/// A connection's peer sent no challenge, or the answer could not be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotAsked {
    /// There was no line, or one that is too long.
    #[error("challenge missing")]
    Line(#[from] LineError),
    /// The first line is not a challenge.
    #[error("first line is not a challenge: does the peer ask for one?")]
    Malformed,
    /// The connection failed.
    #[error("sending the answer to the challenge failed")]
    Unanswered(#[from] io::Error),
}

// ===== impl AnswerChallenge =====

impl AnswerChallenge {
    /// Answers with this key, in an empty context.
    pub fn new(key: Ed25519Key) -> Self {
        Self {
            key: Arc::new(key),
            context: "".into(),
        }
    }

    /// Binds the answer to a context, such as the service's name. The peer must have the same. Empty by
    /// default.
    #[must_use]
    pub fn context(mut self, context: impl Into<Arc<str>>) -> Self {
        self.context = context.into();
        self
    }

    pub(super) fn answer(&self, line: &[u8]) -> Option<String> {
        let line = str::from_utf8(line).ok()?;
        let nonce = line.strip_prefix(ASK)?.strip_prefix(' ')?;
        let nonce = BASE64.decode(nonce).ok()?.try_into().ok()?;
        let signature = self.key.sign(&message(&nonce, &self.context));
        let (public, signature) = (self.key.public(), BASE64.encode(signature));
        Some(format!("{ANSWER} {public} {signature}\n"))
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, NotAsked> {
        let mut conn = conn.map_io(Replay::new);
        let line = take_line(&mut conn.io, MAX_LINE).await?;
        let line = self.answer(&line).ok_or(NotAsked::Malformed)?;
        conn.io.write_all(line.as_bytes()).await?;
        conn.io.flush().await?;
        Ok(conn)
    }
}

boxed_handshake!(AnswerChallenge => Conn<Replay<I>>, NotAsked, Challenge);
