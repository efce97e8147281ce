//! A connection that knows for whom it was dialled.
//!
//! A layer on the *dial* of a side: each connection that it dials for another carries what is known
//! of that one, [`DialledFor`], in its extensions, for the layers of its own side's stack. Without
//! it nobody pays for that.
//!
//! ```
//! use couplet_endpoint::Dial;
//! use couplet_layers::DialledForLayer;
//! use tower::ServiceBuilder;
//!
//! let dial = Dial::to("192.0.2.7:443")?;
//! let dial = ServiceBuilder::new().layer(DialledForLayer).service(dial);
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```
//!
//! **Splice:** costs none. **Memory:** a copy of the other's `Info`, which shares its extensions, as
//! long as the connection is there.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Conn, Info};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// What is known of the connection that this one was dialled for, from the time it was dialled.
#[derive(Clone, Debug)]
pub struct DialledFor(pub Info);

/// Tells what is dialled for whom it was dialled. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct DialledForLayer;

/// Dials, and tells for whom: made by [`DialledForLayer`].
///
/// Called with `()`, where a side is dialled by itself, it tells nothing.
#[derive(Clone, Debug)]
pub struct DialFor<D>(D);

/// The future of [`DialFor`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct DialForFuture<F> {
    #[pin]
    dialling: F,
    for_whom: Option<Info>,
}

// ===== impl DialledForLayer =====

impl<D> Layer<D> for DialledForLayer {
    type Service = DialFor<D>;

    fn layer(&self, dial: D) -> DialFor<D> {
        DialFor(dial)
    }
}

// ===== impl DialFor =====

impl<D, I> Service<Info> for DialFor<D>
where
    D: Service<Info, Response = Conn<I>>,
{
    type Response = Conn<I>;
    type Error = D::Error;
    type Future = DialForFuture<D::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, for_whom: Info) -> Self::Future {
        DialForFuture {
            dialling: self.0.call(for_whom.clone()),
            for_whom: Some(for_whom),
        }
    }
}

impl<D: Service<()>> Service<()> for DialFor<D> {
    type Response = D::Response;
    type Error = D::Error;
    type Future = D::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.0.call(())
    }
}

// ===== impl DialForFuture =====

impl<F, I, E> Future for DialForFuture<F>
where
    F: Future<Output = Result<Conn<I>, E>>,
{
    type Output = Result<Conn<I>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let dialled = ready!(this.dialling.poll(cx));
        Poll::Ready(dialled.map(|mut conn| {
            if let Some(info) = this.for_whom.take() {
                conn.info.extensions.insert(DialledFor(info));
            }
            conn
        }))
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Origin, memory};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_is_dialled_knows_for_whom() {
        let (dial, _listen) = memory::endpoint();
        let dial = DialledForLayer.layer(dial);
        let for_whom = Info::new(Origin::Accepted);
        let id = for_whom.id;
        let conn = dial.clone().oneshot(for_whom).await.unwrap();
        let known = conn.info.extensions.get::<DialledFor>().unwrap();
        assert_eq!(known.0.id, id);

        let conn = dial.oneshot(()).await.unwrap();
        assert!(conn.info.extensions.get::<DialledFor>().is_none());
    }
}
