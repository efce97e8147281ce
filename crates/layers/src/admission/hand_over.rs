//! Hands connections over to other relays of the process, so that each kind of client gets a stack of its
//! own.
//!
//! One port, several stacks: the relay that listens learns what a client is, and hands the connection over
//! to the relay for it: this server name has TLS terminated, that one goes on as it is, SSH has a limit.
//! `Sniff` of the crate `couplet-protocols` detects the protocol of a client and its server name. The other
//! relay has a [`Listen`] for an endpoint; it takes the connection as if it had accepted the connection
//! itself, with the layers of its own side.
//!
//! - **Where:** on a side whose connections come by themselves, below the layers whose results the choice
//!   asks for. The layers above have seen the connection; their permits and observers go with it.
//! - **Splice:** kept. The connection itself moves, not its bytes.
//! - **Memory:** none a pair. The queue holds what the other relay has yet to take.
//! - **Errors:** the reason of the choice, or [`HandOverError`](couplet_endpoint::handoff::HandOverError)
//!   where the other relay's queue is full or the relay has ended: the connection is closed. Nothing waits.
//! - **Readiness:** the inner service's.
//!
//! [`Listen`]: couplet_endpoint::handoff::Listen
//!
//! ```
//! use couplet_endpoint::{BoxError, Info, handoff};
//! use couplet_layers::{ExpectToken, HandOverLayer, HandshakeLayer, Identity, Tokens};
//! use tower::ServiceBuilder;
//!
//! # fn side<S>(tokens: Tokens, place: S) {
//! // `listen` is the endpoint of the relay for backups.
//! let (backups, listen) = handoff::queue(128);
//! let side = ServiceBuilder::new()
//!     .layer(HandshakeLayer::new(ExpectToken::any_of(tokens)))
//!     .layer(HandOverLayer::new(move |client: &Info| {
//!         let name = client.extensions.get().map(Identity::name);
//!         Ok::<_, BoxError>((name == Some("backup")).then(|| backups.clone()))
//!     }))
//!     .service(place);
//! # }
//! ```

use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Conn, Info, Io, handoff::HandOver};
use futures::future::{Either, TryFutureExt};
use tower_service::Service;

use super::OrRefused;
use crate::accessors::layer_and_service;

type Choose = dyn Fn(&Info) -> Result<Option<HandOver>, BoxError> + Send + Sync;

/// Hands connections over by a choice. See the [module](self).
#[derive(Clone, derive_more::Debug)]
#[debug("HandOverLayer")]
pub struct HandOverLayer(Arc<Choose>);

/// Hands connections over: made by [`HandOverLayer`].
#[derive(Clone, Debug)]
pub struct HandOverService<S> {
    layer: HandOverLayer,
    inner: S,
}

// ===== impl HandOverLayer =====

impl HandOverLayer {
    /// A layer with this choice: where a connection goes, or `None` where it stays. An error closes the
    /// connection. The choice is made in the accept loop or at the end of the handshake above, and must
    /// answer at once.
    pub fn new<F, E>(choose: F) -> Self
    where
        F: Fn(&Info) -> Result<Option<HandOver>, E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move |info| choose(info).map_err(Into::into)))
    }
}

layer_and_service!(HandOverLayer => HandOverService);

// ===== impl HandOverService =====

impl<I, S> Service<Conn<I>> for HandOverService<S>
where
    I: Io,
    S: Service<Conn<I>, Response = (), Error: Into<BoxError>>,
{
    type Response = ();
    type Error = BoxError;
    type Future = OrRefused<S::Future, ()>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        // Where it does not stay, the inner service stays ready for the next one.
        Either::Right(ready(match (self.layer.0)(&conn.info) {
            Ok(None) => return Either::Left(self.inner.call(conn).err_into()),
            Ok(Some(other)) => other.hand_over(conn).map_err(Into::into),
            Err(reason) => Err(reason),
        }))
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{
        Origin, handoff,
        handoff::HandOverError,
        memory::{self, MemoryStream},
    };
    use futures::StreamExt;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    fn conn() -> Conn<MemoryStream> {
        Conn::new(memory::connection(64).1, Origin::Accepted)
    }

    #[tokio::test]
    async fn a_connection_stays_moves_or_is_refused() {
        let (other, mut listen) = handoff::queue(1);
        let choose = move |info: &Info| match info.extensions.get::<&str>() {
            Some(&"moves") => Ok(Some(other.clone())),
            Some(_) => Err("no such relay"),
            None => Ok(None),
        };
        let stays = service_fn(|_: Conn<MemoryStream>| async { Err::<(), _>("stayed") });
        let mut service = HandOverLayer::new(choose).layer(stays);
        let mut call = async |word: Option<&'static str>| {
            let mut conn = conn();
            if let Some(word) = word {
                conn.info.extensions.insert(word);
            }
            service.ready().await.unwrap().call(conn).await
        };
        assert_eq!(call(None).await.unwrap_err().to_string(), "stayed");
        let refused = call(Some("elsewhere")).await.unwrap_err();
        assert_eq!(refused.to_string(), "no such relay");
        call(Some("moves")).await.unwrap();
        let full = call(Some("moves")).await.unwrap_err();
        let full = full.downcast_ref::<HandOverError>();
        assert_eq!(full, Some(&HandOverError::Full(1)));
        let moved = listen.next().await.unwrap().unwrap();
        assert_eq!(moved.info.extensions.get(), Some(&"moves"));
    }
}
