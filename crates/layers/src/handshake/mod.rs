//! A step that talks before it lets a connection, or a pair, go on.
//!
//! [`HandshakeLayer`] runs a [`Handshake`] for each request, side by side, and then calls the
//! inner service with what came out. On a *side stack* that is authentication, TLS, a protocol
//! header: the request is a [`Conn`](couplet_endpoint::Conn). On a *pair stack* it is the step
//! before the join: the request is a [`Pair`](couplet_pairing::Pair), both connections are in
//! sight, and the step may talk to either, choose this pair's transforms, or refuse.
//!
//! It acts on the request, so that a stack reads in the order in which a connection meets it.
//!
//! - **Where:** on a side, after access lists and before the place in the pairing; on a pair,
//!   before whatever depends on its outcome.
//! - **Splice:** the layer itself touches no byte; what a handshake wraps around the io decides.
//! - **Readiness:** a handshake has a slot of its own ([`bound`](HandshakeLayer::bound)), and takes
//!   the inner service's readiness (a place in the pairing) only once it has succeeded. So silent
//!   clients use up neither the accept loop nor the slots of waiting connections.
//!
//! ```
//! use couplet_endpoint::{Conn, Io};
//! use couplet_layers::HandshakeLayer;
//! use tokio::io::AsyncReadExt;
//! use tower::ServiceBuilder;
//!
//! async fn greeting<I: Io>(mut conn: Conn<I>) -> std::io::Result<Conn<I>> {
//!     match conn.io.read_u8().await? {
//!         b'!' => Ok(conn),
//!         _ => Err(std::io::Error::other("no greeting")),
//!     }
//! }
//!
//! # fn stack<I: Io, S: Clone>(place: S) {
//! let stack = ServiceBuilder::new()
//!     .layer(HandshakeLayer::new(greeting::<I>))
//!     .service(place);
//! # }
//! ```

//! A closure may ask somebody else, by what is known of the connection and by its first line. What
//! it needs for that goes in as a handle, of which each call has its own:
//!
//! ```
//! use std::sync::Arc;
//!
//! use couplet_endpoint::{BoxError, Conn, Info, Io, Replay};
//! use couplet_layers::{Handshake, HandshakeLayer, Identity, take_line};
//!
//! # struct Database;
//! # impl Database {
//! #     async fn user(&self, info: &Info, secret: &[u8]) -> Result<Option<String>, BoxError> {
//! #         Ok(None)
//! #     }
//! # }
//! fn verdict<I: Io>(database: Arc<Database>) -> HandshakeLayer<impl Handshake<Conn<I>> + Clone> {
//!     HandshakeLayer::new(move |conn: Conn<I>| {
//!         let database = Arc::clone(&database);
//!         async move {
//!             let mut conn = conn.map_io(Replay::new);
//!             let line = take_line(&mut conn.io, 1024).await?;
//!             let user = database.user(&conn.info, &line).await?.ok_or("nobody")?;
//!             conn.info.extensions.insert(Identity::new(user));
//!             Ok::<_, BoxError>(conn)
//!         }
//!     })
//! }
//! ```

pub mod announce_join;
#[cfg(feature = "challenge")]
pub mod challenge;
pub mod dialled_for;
mod error;
mod future;
mod identity;
#[cfg(any(feature = "challenge", feature = "noise", feature = "signed-token"))]
mod key_file;
#[cfg(any(feature = "challenge", feature = "noise"))]
mod key_names;
#[cfg(any(feature = "challenge", feature = "noise"))]
mod key_text;
mod layer;
mod line;
#[cfg(feature = "meet")]
pub mod meet;
#[cfg(feature = "noise")]
pub mod noise;
#[cfg(feature = "proxy-protocol")]
pub mod proxy_protocol;
mod replaceable;
#[cfg(feature = "signed-token")]
pub mod signed_token;
pub mod sniff;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
pub mod tls;
pub mod token;

#[cfg(any(feature = "challenge", feature = "noise", feature = "signed-token"))]
pub use self::key_file::KeyFileError;
#[cfg(any(feature = "challenge", feature = "noise"))]
pub use self::key_text::InvalidKey;
pub use self::{
    error::{HandshakeError, HealthCheck},
    future::HandshakeFuture,
    identity::Identity,
    layer::HandshakeLayer,
    line::{LineError, take_line},
    replaceable::Replaceable,
};

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::BoxError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower_service::Service;

/// A step that a request goes through before the inner service gets it.
///
/// Implemented by every function and closure of the shape `Fn(R) -> impl Future<Output =
/// Result<Output, Error>>`. A step that refuses returns an error; dropping the request closes
/// what it holds.
pub trait Handshake<R> {
    /// What the inner service is called with.
    type Output;
    /// Why a request is refused.
    type Error: Into<BoxError>;
    /// The step at work. Dropping it, as a deadline does, must close the connection.
    type Future: Future<Output = Result<Self::Output, Self::Error>>;

    /// Begins the step.
    fn handshake(&self, request: R) -> Self::Future;
}

impl<F, R, Fut, O, E> Handshake<R> for F
where
    F: Fn(R) -> Fut,
    Fut: Future<Output = Result<O, E>>,
    E: Into<BoxError>,
{
    type Output = O;
    type Error = E;
    type Future = Fut;

    fn handshake(&self, request: R) -> Fut {
        self(request)
    }
}

/// Runs a handshake before its inner service: made by [`HandshakeLayer`].
#[derive(Debug)]
pub struct HandshakeService<H, S> {
    handshake: H,
    timeout: Option<Duration>,
    slots: PollSemaphore,
    slot: Option<OwnedSemaphorePermit>,
    inner: S,
}

// ===== impl HandshakeService =====

impl<H, S> HandshakeService<H, S> {
    fn new(handshake: H, timeout: Option<Duration>, bound: usize, inner: S) -> Self {
        // What is more than a semaphore counts is as good as endless.
        let bound = bound.min(Semaphore::MAX_PERMITS);
        Self {
            handshake,
            timeout,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(bound))),
            slot: None,
            inner,
        }
    }
}

impl<R, H, S> Service<R> for HandshakeService<H, S>
where
    H: Handshake<R>,
    S: Service<H::Output> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = HandshakeFuture<H::Future, S, H::Output>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.slot.is_none() {
            self.slot = std::task::ready!(self.slots.poll_acquire(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let slot = self
            .slot
            .take()
            .expect("a slot was reserved: poll_ready comes before call");
        HandshakeFuture::new(
            self.handshake.handshake(request),
            self.timeout,
            // A clone without readiness: it becomes ready when the handshake has succeeded.
            self.inner.clone(),
            slot,
        )
    }
}

impl<H: Clone, S: Clone> Clone for HandshakeService<H, S> {
    fn clone(&self) -> Self {
        Self {
            handshake: self.handshake.clone(),
            timeout: self.timeout,
            slots: self.slots.clone(),
            slot: None,
            inner: self.inner.clone(),
        }
    }
}
