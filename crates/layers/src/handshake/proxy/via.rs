use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, DialAddr, find_cause};
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::time::timeout;
use tower_service::Service;

use super::{DialFailure, ProxyError};
use crate::handshake::Handshake;

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
/// **Splice:** kept by the handshakes of this crate, once the bytes behind the proxy's answer have been
/// read.
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

    /// The reason for which the target was not reached, as far as the proxy reports it. Where the proxy itself is not reached it
    /// is [`DialFailure::Other`].
    pub fn failure(&self) -> DialFailure {
        match (self.reason, &self.source) {
            (Reason::Deadline(_), _) => DialFailure::TimedOut,
            (Reason::Answer, Some(source)) => {
                find_cause::<ProxyError>(&**source).map_or(DialFailure::Other, ProxyError::failure)
            }
            _ => DialFailure::Other,
        }
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

#[cfg(all(test, feature = "socks"))]
mod tests {
    use couplet_endpoint::{Chain, Dial, memory};
    use futures::StreamExt;
    use tokio::io::AsyncWriteExt;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        SocksConnect,
        testing::{read_all, read_some},
    };

    fn target(text: &str) -> DialAddr {
        text.parse().expect("a target")
    }

    const METHOD: &[u8] = &[5, 0];
    const REPLY: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn a_chain_asks_each_proxy_for_the_next() {
        let (dial, mut proxies) = memory::endpoint();
        let first = Via::new(dial, SocksConnect::new());
        let second = Via::new(first.to(target("second:1080")), SocksConnect::new());
        let dialling = tokio::spawn(second.oneshot(target("example.org:22")));
        let mut proxy = proxies.next().await.unwrap().unwrap().io;
        for name in [&b"\x06second\x04\x38"[..], b"\x0bexample.org\x00\x16"] {
            assert_eq!(read_some(&mut proxy, 3).await, [5, 1, 0]);
            proxy.write_all(METHOD).await.unwrap();
            assert_eq!(read_some(&mut proxy, 4).await, [5, 1, 0, 3]);
            assert_eq!(read_some(&mut proxy, name.len()).await, name);
            proxy.write_all(REPLY).await.unwrap();
        }
        proxy.write_all(b"hello").await.unwrap();
        drop(proxy);
        let mut conn = dialling.await.unwrap().unwrap();
        assert_eq!(conn.info.target.as_deref(), Some(&target("example.org:22")));
        assert_eq!(read_all(&mut conn.io).await.0, b"hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_the_proxy_is_none_of_the_target() {
        let (dial, mut proxies) = memory::endpoint();
        let via = Via::new(dial, SocksConnect::new());
        let dialling = tokio::spawn(via.clone().oneshot(target("example.org:22")));
        let mut proxy = proxies.next().await.unwrap().unwrap().io;
        proxy.write_all(&[5, 0, 5, 5]).await.unwrap();
        let error = dialling.await.unwrap().unwrap_err();
        assert_eq!(error.failure(), DialFailure::Refused);
        let second = Via::new(via.clone().to(target("second:1080")), SocksConnect::new());
        let dialling = tokio::spawn(second.oneshot(target("example.org:22")));
        let mut proxy = proxies.next().await.unwrap().unwrap().io;
        proxy.write_all(&[5, 0, 5, 5]).await.unwrap();
        let error = dialling.await.unwrap().unwrap_err();
        assert_eq!(error.failure(), DialFailure::Other);
        assert_eq!(
            Chain(&error).to_string(),
            "cannot dial example.org:22 through a proxy, which is not reached: cannot dial \
             second:1080 through a proxy: proxy answers: connection refused by the target (SOCKS5 \
             reply 05)"
        );
        // A proxy that answers nothing.
        let deadline = Duration::from_secs(3);
        let waiting = via.timeout(deadline).oneshot(target("example.org:22"));
        let error = waiting.await.unwrap_err();
        assert_eq!(DialFailure::of(&error), DialFailure::TimedOut);
        let shown = error.to_string();
        assert_eq!(
            shown,
            "cannot dial example.org:22 through a proxy, no answer within 3s"
        );
    }

    #[tokio::test]
    async fn a_proxy_that_can_not_be_dialled_is_named() {
        let dial = Dial::to("127.0.0.1:1").unwrap();
        let via = Via::new(dial, SocksConnect::new()).to(target("example.org:22"));
        let error = via.oneshot(()).await.unwrap_err();
        assert_eq!(error.failure(), DialFailure::Other);
        let shown = Chain(&error).to_string();
        assert!(
            shown.contains("which is not reached: cannot dial 127.0.0.1:1"),
            "{shown}"
        );
    }
}
