//! Gives a dialled connection the `Info` of the client it is dialled for.
//!
//! A layer around the *dial* of a side. Each connection that is dialled for a client carries the
//! client's [`Info`] in its extensions, as [`DialledFor`], for the layers of its own side's stack.
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
//! **Splice:** kept. **Memory:** a copy of the client's `Info`, which shares the extensions, as long as
//! the connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Conn, Info};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// The `Info` of the client that a connection was dialled for, as it was when the dial began.
#[derive(Clone, Debug)]
pub struct DialledFor(pub Info);

/// Wraps a dial. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct DialledForLayer;

/// Dials, and adds the client's `Info`. Made by [`DialledForLayer`].
///
/// Called with `()`, where no client is dialled for, it adds nothing.
#[derive(Clone, Debug)]
pub struct DialledForService<D>(D);

/// The future of [`DialledForService`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct DialledForFuture<F> {
    #[pin]
    dialling: F,
    client: Option<Info>,
}

// ===== impl DialledForLayer =====

impl<D> Layer<D> for DialledForLayer {
    type Service = DialledForService<D>;

    fn layer(&self, dial: D) -> DialledForService<D> {
        DialledForService::new(dial)
    }
}

// ===== impl DialledForService =====

impl<D> DialledForService<D> {
    /// Wraps a dial.
    pub const fn new(dial: D) -> Self {
        Self(dial)
    }

    /// The dial within.
    pub const fn get_ref(&self) -> &D {
        &self.0
    }

    /// The dial within.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.0
    }

    /// The dial within.
    pub fn into_inner(self) -> D {
        self.0
    }
}

impl<D, I> Service<Info> for DialledForService<D>
where
    D: Service<Info, Response = Conn<I>>,
{
    type Response = Conn<I>;
    type Error = D::Error;
    type Future = DialledForFuture<D::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, client: Info) -> Self::Future {
        DialledForFuture {
            dialling: self.0.call(client.clone()),
            client: Some(client),
        }
    }
}

impl<D: Service<()>> Service<()> for DialledForService<D> {
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

// ===== impl DialledForFuture =====

impl<F, I, E> Future for DialledForFuture<F>
where
    F: Future<Output = Result<Conn<I>, E>>,
{
    type Output = Result<Conn<I>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let dialled = ready!(this.dialling.poll(cx));
        Poll::Ready(dialled.map(|mut conn| {
            if let Some(info) = this.client.take() {
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
    async fn a_dialled_connection_carries_the_info_of_its_client() {
        let (dial, _listen) = memory::endpoint();
        let dial = DialledForLayer.layer(dial);
        let client = Info::new(Origin::Accepted);
        let id = client.id;
        let conn = dial.clone().oneshot(client).await.unwrap();
        let known = conn.info.extensions.get::<DialledFor>().unwrap();
        assert_eq!(known.0.id, id);

        let conn = dial.oneshot(()).await.unwrap();
        assert!(conn.info.extensions.get::<DialledFor>().is_none());
    }
}
