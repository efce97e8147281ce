use std::{io, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use couplet_endpoint::{Conn, Io, Replay};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{ANSWER, ASK, AuthorizedKeys, Ed25519PublicKey, MAX_LINE, message};
use crate::{
    handshake::Identity,
    handshake::key_text,
    handshake::{Handshake, LineError, take_line},
};

/// Lets a connection pass whose peer signs the challenge with a key that is known. See the
/// [module](super).
///
/// Reads at most 256 bytes for the answer. Has no deadline of its own: the
/// [`HandshakeLayer`](crate::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct Challenge {
    authorized: AuthorizedKeys,
    context: Arc<str>,
}

/// A connection's peer did not sign the challenge with a key that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChallengeRefused {
    /// It could not be asked.
    #[error("it could not be challenged")]
    Unasked(#[source] io::Error),
    /// Its answer did not come, or is too long.
    #[error("no answer to the challenge came")]
    Line(#[from] LineError),
    /// Its first line is no answer.
    #[error("its first line is no answer to the challenge")]
    Malformed,
    /// Its key is not authorized.
    #[error("its key {0} is not authorized")]
    UnknownKey(Ed25519PublicKey),
    /// Its signature is not one of this challenge, in this context, by its key.
    #[error("its signature does not match")]
    Forged,
}

// ===== impl Challenge =====

impl Challenge {
    /// Asks for one of these keys, with an empty context.
    pub fn new(authorized: AuthorizedKeys) -> Self {
        Self {
            authorized,
            context: "".into(),
        }
    }

    /// What the answer is for, such as the service's name: the peer must have set the same.
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

impl<I: Io> Handshake<Conn<I>> for Challenge {
    type Output = Conn<Replay<I>>;
    type Error = ChallengeRefused;
    type Future = BoxFuture<'static, Result<Self::Output, ChallengeRefused>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let challenge = self.clone();
        async move {
            let mut conn = conn.map_io(Replay::new);
            let nonce = ask(&mut conn.io).await.map_err(ChallengeRefused::Unasked)?;
            let line = take_line(&mut conn.io, MAX_LINE).await?;
            let name = challenge.verify(&nonce, &line)?;
            name.put_into(&mut conn.info);
            Ok(conn)
        }
        .boxed()
    }
}

async fn ask<I: Io>(io: &mut I) -> io::Result<[u8; 32]> {
    let nonce = key_text::random()?;
    let line = format!("{ASK} {}\n", BASE64.encode(nonce));
    io.write_all(line.as_bytes()).await?;
    io.flush().await?;
    Ok(nonce)
}
