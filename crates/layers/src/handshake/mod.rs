//! Runs an async handshake before a connection, or a pair, goes on.
//!
//! [`HandshakeLayer`] runs a [`Handshake`] for each request, concurrently, and then calls the inner
//! service with the handshake's output. On a *side stack* the request is a
//! [`Conn`](couplet_endpoint::Conn), and the handshake is authentication, TLS, a protocol header. On a
//! *pair stack* the request is a [`Pair`](couplet_pairing::Pair), and the handshake is the last step
//! before the join: it may talk to both peers, choose the pair's transforms, or refuse the pair.
//!
//! The layer acts on the request, so a stack reads in the order in which a connection meets its layers.
//!
//! - **Where:** on a side, below access lists; on a pair, above the layers that depend on the outcome.
//! - **Splice:** kept by the layer itself; the io that a handshake returns decides.
//! - **Memory:** the handshake's future, and a clone of the inner service.
//! - **Defaults:** a timeout of 10 s ([`timeout`](HandshakeLayer::timeout)), 1024 slots
//!   ([`bound`](HandshakeLayer::bound)).
//! - **Errors:** [`HandshakeError`], with the handshake's own error as the source, or those of the inner
//!   service.
//! - **Readiness:** a handshake holds a slot. It takes the inner service's readiness (a place in the
//!   pairing) only after it has succeeded, so silent clients block neither the accept loop nor the
//!   waiting clients.
//!
//! **Slots are shared fairly** among the networks of peers that have connected to us, IPv4 by address and
//! IPv6 by /64, as sshd's `MaxStartups` keeps room for newcomers. When all slots are taken, the quietest
//! handshake of the network that holds most slots is dropped for a newcomer of a network that holds
//! fewer; and for one of any network once it has been silent for a second, or has taken three. So one
//! address that opens thousands of silent connections keeps no other client out. Peers that we have
//! dialled, and peers without an address, never give way; while only they hold slots, the layer is not
//! ready until a slot is free.
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
//! # fn stack<I: Io, S: Clone>(slot: S) {
//! let stack = ServiceBuilder::new()
//!     .layer(HandshakeLayer::new(greeting::<I>))
//!     .service(slot);
//! # }
//! ```
//!
//! A closure may ask another service, by the connection's `Info` and first line. Each call has its own
//! handle to the service:
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
//!             let user = database.user(&conn.info, &line).await?.ok_or("user unknown")?;
//!             conn.info.extensions.insert(Identity::new(user));
//!             Ok::<_, BoxError>(conn)
//!         }
//!     })
//! }
//! ```

pub mod announce_join;
mod boxed;
mod departure;
pub mod dialled_for;
mod error;
mod forwarded;
mod future;
mod identity;
pub mod key_file;
mod layer;
mod line;
mod replaceable;
mod request;
#[cfg(test)]
mod tests;
mod times;
pub mod token;
pub mod via;

pub(crate) use self::departure::Departure;
pub use self::{
    departure::Departed,
    error::{HandshakeError, HealthCheck},
    forwarded::Forwarded,
    future::HandshakeFuture,
    identity::Identity,
    key_file::KeyFileError,
    layer::HandshakeLayer,
    line::{LineError, take_line},
    replaceable::Replaceable,
    request::HandshakeRequest,
    times::HandshakeTimes,
};

use std::{
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, FairSlots, GivesWay};
use tower_service::Service;

use crate::observe::stats::RefusalCause;

/// How long a peer may be silent before a newcomer of any network may take its slot.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a handshake may take before a newcomer of any network may take its slot, though its peer
/// sends a byte now and then.
const PATIENCE: Duration = Duration::from_secs(3);

const GIVES_WAY: GivesWay = GivesWay::Quietest {
    silent: SILENCE,
    after: PATIENCE,
};

/// An async step that a request goes through before the inner service gets it.
///
/// Implemented by every function and closure of the shape `Fn(R) -> impl Future<Output =
/// Result<Output, Error>>`. A handshake refuses a request by returning an error. In a connector the
/// connection is then reset, unless the handshake has shut it down, as
/// [`send_and_close`](couplet_endpoint::io::send_and_close) does.
pub trait Handshake<R> {
    /// The inner service's request: a [`HandshakeRequest`], too.
    type Output;
    /// Why a request is refused.
    type Error: Into<BoxError>;
    /// The handshake at work. Dropping it, as a timeout does, must drop the request.
    type Future: Future<Output = Result<Self::Output, Self::Error>>;

    /// Begins the handshake.
    fn handshake(&self, request: R) -> Self::Future;

    /// The cause that a connection counts under which the handshake refuses; for a closure
    /// [`Handshake`](RefusalCause::Handshake).
    fn cause(&self) -> RefusalCause {
        RefusalCause::Handshake
    }
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

/// Runs a handshake before its inner service. Made by [`HandshakeLayer`].
#[derive(Debug)]
pub struct HandshakeService<H, S> {
    handshake: H,
    timeout: Option<Duration>,
    slots: FairSlots,
    times: Option<HandshakeTimes>,
    inner: S,
}

// ===== impl HandshakeService =====

impl<H, S> HandshakeService<H, S> {
    /// Runs a handshake before a service, with the defaults of [`HandshakeLayer::new`].
    pub fn new(inner: S, handshake: H) -> Self {
        let layer = HandshakeLayer::new(());
        Self::with(handshake, &layer, inner)
    }

    /// The layer that makes such a service.
    pub const fn layer(handshake: H) -> HandshakeLayer<H> {
        HandshakeLayer::new(handshake)
    }

    crate::accessors::inner_accessors!();

    fn with<L>(handshake: H, layer: &HandshakeLayer<L>, inner: S) -> Self {
        Self {
            handshake,
            timeout: layer.timeout,
            slots: FairSlots::new(layer.bound, GIVES_WAY),
            times: layer.times.clone(),
            inner,
        }
    }
}

impl<R, H, S> Service<R> for HandshakeService<H, S>
where
    R: HandshakeRequest,
    H: Handshake<R>,
    H::Output: HandshakeRequest,
    S: Service<H::Output> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = HandshakeFuture<H::Future, S, H::Output>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.slots.poll_reserve(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut slot = self.slots.take();
        if let Some(stranger) = request.stranger() {
            slot.may_give_way(stranger);
        }
        HandshakeFuture::new(
            self.handshake.handshake(request),
            self.handshake.cause(),
            self.timeout,
            // Cloned without readiness, which a silent peer must not hold: the clone becomes ready
            // after the handshake.
            self.inner.clone(),
            slot,
            self.times.clone(),
        )
    }
}

impl<H: Clone, S: Clone> Clone for HandshakeService<H, S> {
    /// The clone shares the slots, and has reserved none.
    fn clone(&self) -> Self {
        Self {
            handshake: self.handshake.clone(),
            timeout: self.timeout,
            slots: self.slots.clone(),
            times: self.times.clone(),
            inner: self.inner.clone(),
        }
    }
}
