//! A shared secret as the first line of a connection.
//!
//! [`ExpectToken`] accepts connections whose peer sends the secret and a line feed (or carriage return
//! and line feed) before anything else; [`SendToken`] sends them. Both are
//! [handshakes](crate::handshake) of a side stack; bytes behind the line are kept.
//!
//! The line is compared in constant time, with one token or with a list of [`Tokens`], of which each can be
//! withdrawn alone and names its client. A peer with a wrong token is told nothing: the connection is
//! closed. The secret is not encrypted: put TLS above this layer.
//!
//! **Where:** on a side stack, below TLS or Noise and above the layers that authenticated peers may
//! use. **Splice:** kept, once the bytes behind the line have been read. **Memory:** at most 4096 bytes
//! while the line is read.
//!
//! ```
//! use couplet_layers::{ExpectToken, HandshakeLayer, Token};
//!
//! let token = Token::new("correct horse battery staple")?;
//! let layer = HandshakeLayer::new(ExpectToken::new(token));
//! # Ok::<(), couplet_layers::InvalidToken>(())
//! ```

mod expect;
mod list;
mod send;

pub use self::{
    expect::{ExpectToken, TokenRefused},
    list::Tokens,
    send::SendToken,
};

use std::sync::Arc;

use thiserror::Error;

/// The longest line, with its line feed.
const MAX_LINE: usize = 4096;

/// A shared secret of one line: 1 to 4094 bytes, without a line feed and not ending in a carriage
/// return. `Debug` does not show it.
#[derive(Clone, derive_more::Debug)]
#[debug("Token(…)")]
pub struct Token(Arc<[u8]>);

/// A secret can't serve as a [`Token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// The secret is empty.
    #[error("token is empty")]
    Empty,
    /// The secret is longer than 4094 bytes.
    #[error("token is longer than 4094 bytes")]
    TooLong,
    /// The secret has more than one line.
    #[error("token has more than one line")]
    LineBreak,
}

// ===== impl Token =====

impl Token {
    /// Makes a token of a secret.
    ///
    /// # Errors
    ///
    /// If the secret is empty, too long, or has a line break in it.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, InvalidToken> {
        let secret = secret.as_ref();
        if secret.is_empty() {
            Err(InvalidToken::Empty)
        } else if secret.len() > MAX_LINE - 2 {
            Err(InvalidToken::TooLong)
        } else if secret.contains(&b'\n') || secret.ends_with(b"\r") {
            Err(InvalidToken::LineBreak)
        } else {
            Ok(Self(secret.into()))
        }
    }

    fn line(&self) -> Vec<u8> {
        [&self.0[..], b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use couplet_endpoint::{Conn, Io, Replay, find_cause, memory};
    use tokio::io::AsyncWriteExt;
    use tower::{Service, ServiceExt, service_fn};
    use tower_layer::Layer;

    use super::*;
    use crate::{
        HandshakeError, HandshakeLayer,
        testing::{conn, read_all},
    };

    fn token(secret: impl AsRef<[u8]>) -> Token {
        Token::new(secret).unwrap()
    }

    /// A side that admits clients with the secret.
    fn guarded<I: Io>(
        secret: &Token,
    ) -> impl Service<Conn<I>, Response = Conn<Replay<I>>, Error = couplet_endpoint::BoxError> {
        let pass = service_fn(async |conn| Ok::<_, Infallible>(conn));
        HandshakeLayer::new(ExpectToken::new(secret.clone())).layer(pass)
    }

    #[test]
    fn only_the_same_line_matches() {
        let token = Tokens::from(Token::new("secret").unwrap());
        assert!(token.find(b"secret").is_some());
        for other in ["", "secre", "secret\0", "Secret", "secret2"] {
            assert!(token.find(other.as_bytes()).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_token_that_is_no_line_is_refused() {
        assert_eq!(Token::new("").unwrap_err(), InvalidToken::Empty);
        assert_eq!(Token::new("a\nb").unwrap_err(), InvalidToken::LineBreak);
        assert_eq!(Token::new("a\r").unwrap_err(), InvalidToken::LineBreak);
        assert_eq!(Token::new([b'x'; 4095]).unwrap_err(), InvalidToken::TooLong);
        assert!(Token::new([b'x'; 4094]).is_ok());
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new("secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_client_with_the_token_passes() {
        for secret in [&b"secret"[..], b"\0\r\xff", b"x", &[b'x'; 4094]] {
            // It does not come at once.
            let (ours, theirs) = memory::connection(100);
            let send = HandshakeLayer::new(SendToken::new(token(secret)))
                .layer(service_fn(async |conn| Ok::<_, Infallible>(conn)));
            let sending = async {
                let mut conn = send.oneshot(conn(ours)).await.unwrap();
                conn.io.write_all(b"rest").await.unwrap();
            };
            let expected = token(secret);
            let expecting = guarded(&expected).oneshot(conn(theirs));
            let (_, let_in) = tokio::join!(sending, expecting);
            assert_eq!(read_all(&mut let_in.unwrap().io).await.0, b"rest");
        }
    }

    #[tokio::test]
    async fn the_longest_token_may_end_in_crlf() {
        let (mut peer, io) = memory::connection(8192);
        let line = [&[b'x'; 4094][..], b"\r\nrest"].concat();
        peer.write_all(&line).await.unwrap();
        drop(peer);
        let let_in = guarded(&token([b'x'; 4094])).oneshot(conn(io)).await;
        assert_eq!(read_all(&mut let_in.unwrap().io).await.0, b"rest");
    }

    #[tokio::test]
    async fn a_client_with_another_token_gets_no_reply() {
        let (mut ours, theirs) = memory::connection(64);
        ours.write_all(b"guess\n").await.unwrap();
        let refused = guarded(&token("secret")).oneshot(conn(theirs)).await;
        let error = refused.unwrap_err();
        let cause = find_cause(&*error);
        assert!(matches!(cause, Some(TokenRefused::Mismatch)));
        let (heard, end) = read_all(&mut ours).await;
        assert!(heard.is_empty());
        end.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_refused_at_the_deadline() {
        let (mut ours, theirs) = memory::connection(64);
        ours.write_all(b"secre").await.unwrap();
        let refused = guarded(&token("secret")).oneshot(conn(theirs)).await;
        let error: Box<HandshakeError> = refused.unwrap_err().downcast().unwrap();
        let time = Duration::from_secs(10);
        assert!(matches!(*error, HandshakeError::Timeout(after) if after == time));
        assert!(read_all(&mut ours).await.0.is_empty());
    }
}
