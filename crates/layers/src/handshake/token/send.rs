use std::io;

use couplet_endpoint::{Conn, Io};
use tokio::io::AsyncWriteExt;

use super::Token;
use crate::boxed_handshake;

/// Sends the token as a connection's first line. See the [module](super).
#[derive(Clone, Debug)]
pub struct SendToken(Token);

// ===== impl SendToken =====

impl SendToken {
    /// Sends this token.
    pub const fn new(token: Token) -> Self {
        Self(token)
    }

    async fn shake<I: Io>(self, mut conn: Conn<I>) -> Result<Conn<I>, io::Error> {
        conn.io.write_all(&self.0.line()).await?;
        conn.io.flush().await?;
        Ok(conn)
    }
}

boxed_handshake!(SendToken => Conn<I>, io::Error);

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Opaque, Origin, memory};
    use tokio::io::{AsyncReadExt, BufWriter};

    use super::*;
    use crate::Handshake;

    #[tokio::test]
    async fn the_first_line_is_the_token() {
        let (mut peer, io) = memory::connection(64);
        let send = SendToken::new(Token::new("secret").unwrap());
        let mut conn = send
            .handshake(Conn::new(io, Origin::Dialled))
            .await
            .unwrap();
        conn.io.write_all(b"rest").await.unwrap();
        drop(conn);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "secret\nrest");
    }

    #[tokio::test]
    async fn the_line_is_flushed() {
        let (mut peer, io) = memory::connection(64);
        let io = Opaque(BufWriter::new(io));
        let send = SendToken::new(Token::new("secret").unwrap());
        let _open = send
            .handshake(Conn::new(io, Origin::Dialled))
            .await
            .unwrap();
        let mut heard = [0; 7];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"secret\n");
    }
}
