//! Bounds how many connections of a side are open at a time: in their handshakes, waiting, or
//! joined.
//!
//! tower's `ConcurrencyLimit` on a side stack bounds those on their way to a place, and on a pair
//! stack the pairs. This one goes with the connection to its very end, so where each connection
//! brings its own partner it bounds the pairs, and those beyond are not even accepted: they stay in
//! the system's queue.
//!
//! **Where:** at the top of a side stack. **Splice:** costs none. **Readiness:** a permit is
//! reserved before the accept or the dial, given back on drop, and never cloned.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

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

/// An io that counts as open until it is dropped.
#[derive(Debug)]
pub struct Live<I> {
    io: I,
    _permit: OwnedSemaphorePermit,
}

// ===== impl LiveLimitLayer =====

impl LiveLimitLayer {
    /// At most `limit` connections at a time.
    pub const fn new(limit: usize) -> Self {
        Self(limit)
    }
}

impl<S> Layer<S> for LiveLimitLayer {
    type Service = LiveLimit<S>;

    fn layer(&self, inner: S) -> LiveLimit<S> {
        LiveLimit {
            free: PollSemaphore::new(Arc::new(Semaphore::new(self.0))),
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
        self.inner.call(conn.map_io(|io| Live {
            io,
            _permit: permit,
        }))
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

impl<I: Io> Io for Live<I> {
    fn abort(&mut self) {
        self.io.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.io.take_error()
    }

    fn has_unsent(&mut self) -> bool {
        self.io.has_unsent()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Live<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Live<I>, io);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use couplet_endpoint::{Origin, memory};
    use tokio_test::{assert_pending, assert_ready, task};
    use tower::{ServiceExt, service_fn};

    use super::*;

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
}
