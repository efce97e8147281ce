//! Dials targets through another server, such as a proxy.
//!
//! [`Via`] wraps a dial of the proxy, and a [handshake](crate::handshake) asks the proxy for a connection
//! to the target; the crate `couplet-protocols` has those of SOCKS5 and HTTP CONNECT. A [`Via`] around
//! another is a chain. Here is a proxy that takes the target as one line:
//!
//! ```
//! use couplet_endpoint::{Conn, Dial, Io, TcpIo};
//! use couplet_layers::Via;
//! use tokio::io::AsyncWriteExt;
//!
//! async fn ask<I: Io>(mut conn: Conn<I>) -> std::io::Result<Conn<I>> {
//!     let target = conn.info.target.as_ref().map(|target| target.to_string());
//!     let line = target.ok_or(std::io::ErrorKind::InvalidInput)? + "\n";
//!     conn.io.write_all(line.as_bytes()).await?;
//!     Ok(conn)
//! }
//!
//! let proxy = Via::new(Dial::to("localhost:1080")?, ask::<TcpIo>);
//! let dial = proxy.to("example.org:22".parse()?);
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, DialAddr};
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::time::timeout;
use tower_service::Service;

use super::Handshake;

/// Dials targets through a proxy: a dial of the proxy, and the handshake that asks the proxy for a
/// connection. See the [module](super).
///
/// It is a [`Service`] of targets; [`to`](Self::to) makes a dial of it that has one. The target is in the
/// connection's [`Info::target`](couplet_endpoint::Info::target), from where the handshake takes it, and
/// a TLS layer above the name to check; [`Info::peer`](couplet_endpoint::Info::peer) is the proxy's
/// address.
///
/// Cancel-safe: a dial that is dropped closes its connection to the proxy.
///
/// **Splice:** as the handshake does.
#[derive(Clone, Debug)]
pub struct Via<D, H> {
    dial: D,
    handshake: H,
    timeout: Duration,
}

/// Dials one target through a proxy, whatever the request. Made by [`Via::to`].
#[derive(Clone, Debug)]
pub struct ViaTo<D, H> {
    via: Via<D, H>,
    target: Arc<DialAddr>,
}

/// A target was not reached through a proxy.
#[derive(Debug, Error)]
#[error("{}", Shown(target.as_deref(), *reason))]
pub struct ViaError {
    /// `None` before there is one.
    target: Option<Arc<DialAddr>>,
    reason: Reason,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    /// The proxy itself was not reached.
    Proxy,
    /// The proxy has not connected.
    Answer,
    Deadline(Duration),
}

struct Shown<'a>(Option<&'a DialAddr>, Reason);

// ===== impl Via =====

impl<D, H> Via<D, H> {
    /// Dials through the proxy that `dial` connects to, with the protocol of `handshake`.
    pub const fn new(dial: D, handshake: H) -> Self {
        Self {
            dial,
            handshake,
            timeout: Duration::from_secs(10),
        }
    }

    /// The deadline for everything from the dial of the proxy to its answer, which comes once the proxy has
    /// dialled the target. 10 s by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A dial of this target: a service that ignores its request, as a
    /// [`Dial`](couplet_endpoint::Dial) does.
    pub fn to(self, target: DialAddr) -> ViaTo<D, H> {
        ViaTo {
            via: self,
            target: Arc::new(target),
        }
    }
}

impl<D, H, I, O> Via<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send + 'static>,
    H: Handshake<Conn<I>, Output = Conn<O>, Future: Send> + Clone + Send + 'static,
    I: Send + 'static,
{
    fn dial(&mut self, target: Arc<DialAddr>) -> BoxFuture<'static, Result<Conn<O>, ViaError>> {
        let dialling = self.dial.call(());
        let (handshake, deadline) = (self.handshake.clone(), self.timeout);
        Box::pin(async move {
            let asked = Arc::clone(&target);
            let connecting = async move {
                let mut conn = dialling
                    .await
                    .map_err(|error| (Reason::Proxy, error.into()))?;
                conn.info.target = Some(asked);
                let shaken = handshake.handshake(conn).await;
                shaken.map_err(|error| (Reason::Answer, error.into()))
            };
            let connected = timeout(deadline, connecting).await;
            let (reason, source) = match connected {
                Ok(Ok(conn)) => return Ok(conn),
                Ok(Err((reason, source))) => (reason, Some(source)),
                Err(_) => (Reason::Deadline(deadline), None),
            };
            Err(ViaError {
                target: Some(target),
                reason,
                source,
            })
        })
    }
}

/// The request is the target.
impl<D, H, I, O> Service<DialAddr> for Via<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send + 'static>,
    H: Handshake<Conn<I>, Output = Conn<O>, Future: Send> + Clone + Send + 'static,
    I: Send + 'static,
{
    type Response = Conn<O>;
    type Error = ViaError;
    type Future = BoxFuture<'static, Result<Conn<O>, ViaError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ViaError>> {
        self.dial.poll_ready(cx).map_err(ViaError::not_ready)
    }

    fn call(&mut self, target: DialAddr) -> Self::Future {
        self.dial(Arc::new(target))
    }
}

// ===== impl ViaTo =====

impl<D, H> ViaTo<D, H> {
    /// The same dial with another target.
    #[must_use]
    pub fn retarget(self, target: DialAddr) -> Self {
        self.via.to(target)
    }

    /// The target.
    pub fn target(&self) -> &DialAddr {
        &self.target
    }
}

impl<R, D, H, I, O> Service<R> for ViaTo<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send + 'static>,
    H: Handshake<Conn<I>, Output = Conn<O>, Future: Send> + Clone + Send + 'static,
    I: Send + 'static,
{
    type Response = Conn<O>;
    type Error = ViaError;
    type Future = BoxFuture<'static, Result<Conn<O>, ViaError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ViaError>> {
        self.via.poll_ready(cx)
    }

    fn call(&mut self, _: R) -> Self::Future {
        self.via.dial(Arc::clone(&self.target))
    }
}

// ===== impl ViaError =====

impl ViaError {
    fn not_ready(error: impl Into<BoxError>) -> Self {
        Self {
            target: None,
            reason: Reason::Proxy,
            source: Some(error.into()),
        }
    }

    /// The target.
    pub fn target(&self) -> Option<&DialAddr> {
        self.target.as_deref()
    }

    /// Whether the proxy itself was not reached, and so not asked.
    pub const fn is_of_proxy(&self) -> bool {
        matches!(self.reason, Reason::Proxy)
    }

    /// Whether the deadline passed.
    pub const fn is_timeout(&self) -> bool {
        matches!(self.reason, Reason::Deadline(_))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(target, reason) = self;
        match target {
            Some(target) => write!(f, "cannot dial {target} through a proxy")?,
            None => f.write_str("cannot dial through a proxy")?,
        }
        match reason {
            Reason::Proxy => f.write_str(", which is not reached"),
            Reason::Answer => Ok(()),
            Reason::Deadline(after) => write!(f, ", no answer within {after:?}"),
        }
    }
}
