use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use couplet_endpoint::Info;

use crate::{admission::access::AccessRule, handshake::Handshake, observe::stats::RefusalCause};

/// A handshake or an access rule that can be replaced at run time, such as for a renewed secret.
///
/// Clones share their content: one goes into a layer, another [replaces](Self::replace) the content for
/// new connections. Live connections go on as they are, and a handshake that has begun ends as it
/// began.
///
/// ```
/// use couplet_layers::{ExpectToken, HandshakeLayer, Replaceable, Token};
///
/// let expect = Replaceable::new(ExpectToken::new(Token::new("correct horse")?));
/// let layer = HandshakeLayer::new(expect.clone());
/// // Later, while the layer is at work:
/// expect.replace(ExpectToken::new(Token::new("battery staple")?));
/// # Ok::<(), couplet_layers::InvalidToken>(())
/// ```
#[derive(derive_more::Debug)]
#[debug("Replaceable")]
pub struct Replaceable<T>(Arc<RwLock<T>>);

// ===== impl Replaceable =====

impl<T> Replaceable<T> {
    /// Starts with this content.
    pub fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }

    /// Replaces the content, for all clones.
    ///
    /// Make the new content first: if that fails, the old content stays.
    pub fn replace(&self, new: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// The content for the next connection.
    pub fn current(&self) -> T
    where
        T: Clone,
    {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, T> {
        // A panic leaves either the old or the new content, and both are whole.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Replaceable<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R, H: Handshake<R>> Handshake<R> for Replaceable<H> {
    type Output = H::Output;
    type Error = H::Error;
    type Future = H::Future;

    fn handshake(&self, request: R) -> H::Future {
        self.read().handshake(request)
    }

    fn cause(&self) -> RefusalCause {
        self.read().cause()
    }
}

impl<R: AccessRule> AccessRule for Replaceable<R> {
    type Error = R::Error;

    fn check(&self, info: &Info) -> Result<(), R::Error> {
        self.read().check(info)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use couplet_endpoint::{Conn, memory};
    use tokio::io::AsyncWriteExt;
    use tower::{ServiceExt, service_fn};
    use tower_layer::Layer;

    use super::*;
    use crate::{
        AccessLayer, ExpectToken, HandshakeLayer, Token,
        testing::{conn, read_all},
    };

    fn expect(secret: &str) -> ExpectToken {
        ExpectToken::new(Token::new(secret).unwrap())
    }

    #[tokio::test]
    async fn a_running_service_uses_the_new_handshake() {
        let replaceable = Replaceable::new(expect("old"));
        let pass = service_fn(async |conn: Conn<_>| Ok::<_, Infallible>(conn));
        let side = HandshakeLayer::new(replaceable.clone()).layer(pass);
        let shake = async |line: &str| {
            let (mut peer, io) = memory::connection(64);
            peer.write_all(line.as_bytes()).await.unwrap();
            drop(peer);
            side.clone().oneshot(conn(io)).await.map(drop)
        };
        shake("old\n").await.unwrap();
        shake("new\n").await.unwrap_err();
        replaceable.replace(expect("new"));
        shake("new\n").await.unwrap();
        shake("old\n").await.unwrap_err();
    }

    #[tokio::test]
    async fn a_handshake_under_way_ends_as_it_began() {
        let replaceable = Replaceable::new(expect("old"));
        let (mut peer, io) = memory::connection(64);
        let begun = replaceable.handshake(conn(io));
        replaceable.replace(expect("new"));
        peer.write_all(b"old\nrest").await.unwrap();
        drop(peer);
        assert_eq!(read_all(&mut begun.await.unwrap().io).await.0, b"rest");
    }

    #[tokio::test]
    async fn an_access_rule_can_be_replaced() {
        type Rule = fn(&Info) -> Result<(), &'static str>;
        let rule = Replaceable::new((|_| Ok(())) as Rule);
        let pass = service_fn(async |_| Ok::<_, Infallible>(()));
        let side = AccessLayer::new(rule.clone()).layer(pass);
        let enter = || side.clone().oneshot(conn(memory::connection(1).0));
        enter().await.unwrap();
        rule.replace(|_| Err("closed"));
        enter().await.unwrap_err();
    }
}
