use std::io;

use couplet_endpoint::{Conn, Io, Replay};
use thiserror::Error;

use super::{MAX_LINE, Token, Tokens};
use crate::{
    boxed_handshake,
    handshake::{LineError, take_line},
};

/// Accepts connections whose first line is the token, or one of several. See the [module](super).
///
/// Reads at most 4096 bytes for the line. Has no deadline of its own: the
/// [`HandshakeLayer`](crate::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct ExpectToken(Tokens);

/// A connection does not begin with the token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenRefused {
    /// The first line is something else.
    #[error("first line is not the token")]
    Mismatch,
    /// The first line is longer than 4096 bytes.
    #[error("first line is longer than 4096 bytes, and so is not the token")]
    TooLong,
    /// The connection ended before the line did.
    #[error("connection ended before the token")]
    Ended,
    /// The connection failed.
    #[error("reading the token failed")]
    Io(#[from] io::Error),
}

// ===== impl TokenRefused =====

impl From<LineError> for TokenRefused {
    fn from(error: LineError) -> Self {
        match error {
            LineError::TooLong(_) => Self::TooLong,
            LineError::Ended => Self::Ended,
            LineError::Io(error) => Self::Io(error),
        }
    }
}

// ===== impl ExpectToken =====

impl ExpectToken {
    /// Expects this token.
    pub fn new(token: Token) -> Self {
        Self(token.into())
    }

    /// Expects one of these. The name of the client's becomes its [`Identity`](crate::Identity).
    pub const fn any_of(tokens: Tokens) -> Self {
        Self(tokens)
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, TokenRefused> {
        let mut conn = conn.map_io(Replay::new);
        let line = take_line(&mut conn.io, MAX_LINE).await?;
        let name = self.0.find(&line).ok_or(TokenRefused::Mismatch)?;
        conn.info.has_spoken = true;
        if let Some(name) = name {
            name.clone().put_into(&mut conn.info);
        }
        Ok(conn)
    }
}

boxed_handshake!(ExpectToken => Conn<Replay<I>>, TokenRefused, Token);

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Origin, memory};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::Handshake;

    async fn shake(pieces: &[&[u8]]) -> Result<Vec<u8>, TokenRefused> {
        let (mut peer, io) = memory::connection(8192);
        let expect = ExpectToken::new(Token::new("secret").unwrap());
        let shaking = tokio::spawn(expect.handshake(Conn::new(io, Origin::Accepted)));
        for piece in pieces {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer.shutdown().await.unwrap();
        let mut conn = shaking.await.unwrap()?;
        let mut rest = Vec::new();
        conn.io.read_to_end(&mut rest).await.unwrap();
        Ok(rest)
    }

    #[tokio::test]
    async fn bytes_after_the_token_are_kept_wherever_the_stream_is_cut() {
        for sent in [&b"secret\nrest\n\0"[..], b"secret\r\nrest\n\0"] {
            for cut in 0..sent.len() {
                let (one, two) = sent.split_at(cut);
                assert_eq!(shake(&[one, two]).await.unwrap(), b"rest\n\0");
            }
        }
    }

    #[tokio::test]
    async fn the_name_of_the_token_is_the_clients() {
        for (sent, name) in [("one\n", Some("ann")), ("two\n", None)] {
            let (mut peer, io) = memory::connection(64);
            let expect = ExpectToken::any_of("ann: one\ntwo".parse().unwrap());
            peer.write_all(sent.as_bytes()).await.unwrap();
            let conn = Conn::new(io, Origin::Accepted);
            let info = expect.handshake(conn).await.unwrap().info;
            let identity = info.extensions.get::<crate::Identity>();
            assert_eq!(identity.map(crate::Identity::name), name);
            // It may want to receive only.
            assert!(info.has_spoken);
        }
    }

    #[tokio::test]
    async fn any_other_first_line_is_refused() {
        let refused = shake(&[b"Secret\n"]).await.unwrap_err();
        assert!(matches!(refused, TokenRefused::Mismatch));
        let refused = shake(&[b"\n"]).await.unwrap_err();
        assert!(matches!(refused, TokenRefused::Mismatch));
        let refused = shake(&[b"secret"]).await.unwrap_err();
        assert!(matches!(refused, TokenRefused::Ended));
        let refused = shake(&[&[b'x'; 4095], b"x\n"]).await.unwrap_err();
        assert!(matches!(refused, TokenRefused::TooLong));
        let refused = shake(&[&[b'x'; 4095], b"\n"]).await.unwrap_err();
        assert!(matches!(refused, TokenRefused::Mismatch));
    }
}
