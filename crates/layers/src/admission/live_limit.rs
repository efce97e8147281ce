//! Bounds the connections of a side that are open at a time (in their handshakes, waiting, or joined),
//! and stops accepting at the bound.
//!
//! tower's `ConcurrencyLimit` bounds the connections on their way through a side stack, or the pairs on
//! a pair stack. A permit of this layer goes with the connection to its end. So where a partner is
//! dialled for each connection the layer bounds the pairs, and clients beyond the bound stay in the
//! system's accept queue. [`ConnLimitLayer`](crate::ConnLimitLayer) accepts those clients, refuses or
//! queues them, and can count by address.
//!
//! **Where:** at the top of a side stack; or below the handshakes, where a silent client takes no
//! permit, and an authenticated one waits for a permit. **Splice:** costs none. **Readiness:** a permit
//! is reserved before the accept or the dial, given back on drop, and never cloned.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

#[cfg(unix)]
use couplet_endpoint::io::Socket;
use couplet_endpoint::{Conn, Io};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::PollSemaphore;
use tower_layer::Layer;
use tower_service::Service;

/// Bounds the open connections of a side. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct LiveLimitLayer(usize);

/// Bounds the open connections: made by [`LiveLimitLayer`].
#[derive(Debug)]
pub struct LiveLimit<S> {
    free: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
    inner: S,
}

/// An io that counts as open until it is dropped: it holds a permit.
#[derive(Debug)]
pub struct Live<I, P = OwnedSemaphorePermit> {
    io: I,
    _permit: P,
}

// ===== impl LiveLimitLayer =====

impl LiveLimitLayer {
    /// At most `limit` connections at a time.
    ///
    /// # Panics
    ///
    /// If the limit is 0, with which the side would never accept.
    pub const fn new(limit: usize) -> Self {
        assert!(limit > 0, "a limit of live connections is at least 1");
        Self(limit)
    }
}

impl<S> Layer<S> for LiveLimitLayer {
    type Service = LiveLimit<S>;

    fn layer(&self, inner: S) -> LiveLimit<S> {
        // More than a semaphore can count is no bound in practice.
        let limit = self.0.min(Semaphore::MAX_PERMITS);
        LiveLimit {
            free: PollSemaphore::new(Arc::new(Semaphore::new(limit))),
            permit: None,
            inner,
        }
    }
}

// ===== impl LiveLimit =====

impl<I, S: Service<Conn<Live<I>>>> Service<Conn<I>> for LiveLimit<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.permit.is_none() {
            self.permit = ready!(self.free.poll_acquire(cx));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn<I>) -> S::Future {
        let permit = self
            .permit
            .take()
            .expect("a permit was reserved: poll_ready comes before call");
        self.inner.call(conn.map_io(|io| Live::new(io, permit)))
    }
}

impl<S: Clone> Clone for LiveLimit<S> {
    fn clone(&self) -> Self {
        Self {
            free: self.free.clone(),
            permit: None,
            inner: self.inner.clone(),
        }
    }
}

// ===== impl Live =====

impl<I, P> Live<I, P> {
    pub(crate) const fn new(io: I, permit: P) -> Self {
        Self {
            io,
            _permit: permit,
        }
    }
}

impl<I: Io, P: Send + Unpin + 'static> Io for Live<I, P> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<couplet_endpoint::io::Gone> {
        self.io.poll_gone(cx)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        self.io.splice_source()
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin, P: Unpin> AsyncRead for Live<I, P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin, P: Unpin] for Live<I, P>, io);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use couplet_endpoint::{
        Origin,
        memory::{self, MemoryStream},
    };
    use couplet_pairing::CloseReason;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_test::{assert_pending, assert_ready, task};
    use tower::{ServiceExt, layer::util::Identity, limit::ConcurrencyLimit, service_fn};

    use super::*;
    use crate::testing::{assert_reset, becomes_ready, conn, read_all, relay_between};

    type Opened = Conn<Live<MemoryStream>>;

    /// Gives the connection back.
    async fn open(conn: Opened) -> Result<Opened, Infallible> {
        Ok(conn)
    }

    #[tokio::test]
    async fn a_permit_goes_with_the_connection_to_its_end() {
        let keep = service_fn(|conn| async { Ok::<_, Infallible>(conn) });
        let mut service = LiveLimitLayer::new(1).layer(keep);
        let mut other = service.clone();
        let (_peer, io) = memory::connection(64);

        let conn = Conn::new(io, Origin::Accepted);
        let open = service.ready().await.unwrap().call(conn).await.unwrap();
        let mut ready = task::spawn(other.ready());
        assert_pending!(ready.poll());
        drop(open);
        assert!(ready.is_woken());
        assert_ready!(ready.poll()).unwrap();
    }

    #[tokio::test]
    async fn a_reserved_permit_is_given_back_and_never_cloned() {
        let keep = service_fn(|conn: Conn<Live<memory::MemoryStream>>| async {
            Ok::<_, Infallible>(conn)
        });
        let mut service = LiveLimitLayer::new(1).layer(keep);
        service.ready().await.unwrap();
        let mut clone = service.clone();
        let mut ready = task::spawn(clone.ready());
        assert_pending!(ready.poll());
        drop(service);
        assert_ready!(ready.poll()).unwrap();
    }

    #[tokio::test]
    async fn a_joined_connection_is_open_until_its_pair_has_ended() {
        let mut service = LiveLimitLayer::new(1).layer(service_fn(open));
        let (mut a, a_io) = memory::connection(64);
        let (_b, b_io) = memory::connection(64);
        let opened = service.ready().await.unwrap().call(conn(a_io)).await;
        let (session, end) = relay_between(Identity::new(), opened.unwrap().io, b_io);
        a.write_all(b"hello").await.unwrap();
        let mut ready = becomes_ready(&mut service);
        assert_pending!(ready.poll());
        session.close(CloseReason::Closed);
        end.await.unwrap().unwrap();
        assert!(ready.is_woken());
        assert!(assert_ready!(ready.poll()));
    }

    #[tokio::test]
    async fn a_refused_connection_is_open_no_more() {
        let refuse = service_fn(async |_: Opened| Err::<(), _>("refused"));
        let mut service = LiveLimitLayer::new(1).layer(refuse);
        for _ in 0..3 {
            let (_peer, io) = memory::connection(64);
            let service = service.ready().await.unwrap();
            service.call(conn(io)).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn the_inner_service_must_be_ready_too() {
        let full = ConcurrencyLimit::new(service_fn(open), 0);
        let mut service = LiveLimitLayer::new(1).layer(full);
        assert_pending!(becomes_ready(&mut service).poll());
    }

    #[tokio::test]
    async fn a_limit_may_be_as_good_as_none() {
        let mut service = LiveLimitLayer::new(usize::MAX).layer(service_fn(open));
        service.ready().await.unwrap();
    }

    #[tokio::test]
    async fn bytes_and_the_methods_of_io_are_passed_on() {
        let mut service = LiveLimitLayer::new(2).layer(service_fn(open));
        let (mut peer, io) = memory::connection(64);
        let opened = service.ready().await.unwrap().call(conn(io)).await;
        let mut io = opened.unwrap().io;
        peer.write_all(b"hello").await.unwrap();
        assert_eq!(io.read_u8().await.unwrap(), b'h');
        io.write_all(b"bye").await.unwrap();
        assert!(!io.has_unsent());
        assert!(io.take_error().is_none());
        io.abort();
        drop(io);
        let (heard, end) = read_all(&mut peer).await;
        assert_eq!(heard, b"bye");
        assert_reset(&end);

        let (mut peer, io) = memory::connection(64);
        let opened = service.ready().await.unwrap().call(conn(io)).await;
        let mut io = opened.unwrap().io;
        peer.abort();
        drop(peer);
        assert!(io.take_error().is_some());
    }
}
