use std::{io, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use couplet_endpoint::{Conn, Io, Replay};
use couplet_layers::{Identity, LineError, boxed_handshake, take_line};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{ANSWER, ASK, AuthorizedKeys, Ed25519PublicKey, MAX_LINE, message};
use crate::key_text;

/// Accepts connections whose peer signs a challenge with an authorized key. See the [module](super).
///
/// Reads at most 256 bytes for the answer. Has no deadline of its own: the
/// [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct Challenge {
    authorized: AuthorizedKeys,
    context: Arc<str>,
}

/// A connection's peer did not sign the challenge with an authorized key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChallengeRefused {
    /// The connection failed.
    #[error("sending the challenge failed")]
    Unasked(#[source] io::Error),
    /// There was no answer, or one that is too long.
    #[error("answer to the challenge missing")]
    Line(#[from] LineError),
    /// The first line is not an answer.
    #[error("first line is not an answer to the challenge")]
    Malformed,
    /// The peer's key is not authorized.
    #[error("key {0} is not authorized")]
    UnknownKey(Ed25519PublicKey),
    /// The signature is not of this challenge in this context by the peer's key.
    #[error("signature does not match: the peer has another context, or not the private key")]
    Forged,
}

// ===== impl Challenge =====

impl Challenge {
    /// Accepts these keys, in an empty context.
    pub fn new(authorized: AuthorizedKeys) -> Self {
        Self {
            authorized,
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

    fn verify(&self, nonce: &[u8; 32], line: &[u8]) -> Result<Identity, ChallengeRefused> {
        let (key, signature) = parse(line).ok_or(ChallengeRefused::Malformed)?;
        let name = self.authorized.name_of(&key);
        let name = name.ok_or(ChallengeRefused::UnknownKey(key))?;
        match key.has_signed(&message(nonce, &self.context), &signature) {
            true => Ok(name.clone()),
            false => Err(ChallengeRefused::Forged),
        }
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, ChallengeRefused> {
        let mut conn = conn.map_io(Replay::new);
        let nonce = ask(&mut conn.io).await.map_err(ChallengeRefused::Unasked)?;
        let line = take_line(&mut conn.io, MAX_LINE).await?;
        let name = self.verify(&nonce, &line)?;
        conn.info.has_spoken = true;
        name.put_into(&mut conn.info);
        Ok(conn)
    }
}

fn parse(line: &[u8]) -> Option<(Ed25519PublicKey, [u8; 64])> {
    let line = str::from_utf8(line).ok()?;
    let (key, signature) = line
        .strip_prefix(ANSWER)?
        .strip_prefix(' ')?
        .split_once(' ')?;
    let signature = BASE64.decode(signature).ok()?.try_into().ok()?;
    Some((key.parse().ok()?, signature))
}

boxed_handshake!(Challenge => Conn<Replay<I>>, ChallengeRefused, Challenge);

async fn ask<I: Io>(io: &mut I) -> io::Result<[u8; 32]> {
    let nonce = key_text::random()?;
    let line = format!("{ASK} {}\n", BASE64.encode(nonce));
    io.write_all(line.as_bytes()).await?;
    io.flush().await?;
    Ok(nonce)
}
