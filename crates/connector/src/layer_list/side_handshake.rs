use std::sync::{Arc, Mutex, PoisonError};

use couplet_endpoint::{BoxError, BoxIo, Conn, Io};
use couplet_layers::Handshake;
use futures::{FutureExt, future::BoxFuture};
use tower::{Service, ServiceExt};

use crate::{
    incoming::guarded,
    slot::{Passage, Slot},
};

/// The layers of a list as one [`Handshake`]: leads a connection through them, and answers with the connection.
/// For what has a stack of its own beside those of the sides: a carrier of many connections. Made by
/// [`SideLayers::handshake`](crate::SideLayers::handshake). Clones share the layers' bounds.
#[derive(Clone, derive_more::Debug)]
#[debug("SideHandshake")]
pub struct SideHandshake(Arc<Mutex<Passage<Slot>>>);

// ===== impl SideHandshake =====

impl SideHandshake {
    pub(super) fn new(passage: Passage<Slot>) -> Self {
        Self(Arc::new(Mutex::new(passage)))
    }
}

impl<I: Io> Handshake<Conn<I>> for SideHandshake {
    type Output = Conn<BoxIo>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Conn<BoxIo>, BoxError>>;

    /// A connection that is refused is reset.
    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let mut passage = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let conn = guarded(conn);
        async move { passage.ready().await?.call(conn).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Origin, Side, memory};
    use couplet_layers::{ExpectToken, HandshakeLayer, Token};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::SideLayers;

    #[tokio::test]
    async fn a_connection_goes_through_the_layers_and_comes_back() {
        let token = Token::new("open sesame").unwrap();
        let mut layers = SideLayers::new();
        layers.push(HandshakeLayer::new(ExpectToken::new(token)));
        let handshake = layers.handshake(Side::A);
        for (said, is_let_in) in [("open sesame\nhello", true), ("let me in\nhello", false)] {
            let (mut peer, io) = memory::connection(64);
            let conn = Conn::new(io, Origin::Accepted);
            let id = conn.info.id;
            peer.write_all(said.as_bytes()).await.unwrap();
            match handshake.handshake(conn).await {
                Ok(mut conn) => {
                    assert!(is_let_in);
                    assert_eq!(conn.info.id, id);
                    let mut heard = [0; 5];
                    conn.io.read_exact(&mut heard).await.unwrap();
                    assert_eq!(&heard, b"hello");
                }
                Err(_) => {
                    assert!(!is_let_in);
                    assert!(peer.take_error().is_some(), "it is reset");
                }
            }
        }
    }
}
