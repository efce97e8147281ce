//! [`Mapped`]: the service of every layer that changes a request and nothing after it.

use std::task::{Context, Poll};

use tower_service::Service;

/// Changes a request before the service within takes it. Implemented by the layers.
pub trait MapRequest<R> {
    /// The request of the service within.
    type Request;

    /// Changes a request.
    fn map_request(&self, request: R) -> Self::Request;
}

/// Changes requests by a layer's settings, and hands them to the service within.
#[derive(Clone, Debug)]
pub struct Mapped<L, S> {
    layer: L,
    inner: S,
}

/// Makes [`Mapped`] the service of a layer.
macro_rules! mapped_layer {
    ($layer:ident) => {
        impl<S> tower_layer::Layer<S> for $layer {
            type Service = $crate::mapped::Mapped<Self, S>;

            fn layer(&self, inner: S) -> Self::Service {
                $crate::mapped::Mapped::new(inner, self.clone())
            }
        }
    };
}

pub(crate) use mapped_layer;

// ===== impl Mapped =====

impl<L, S> Mapped<L, S> {
    /// Changes the requests that go to `inner` by the settings of the layer.
    pub const fn new(inner: S, layer: L) -> Self {
        Self { layer, inner }
    }

    crate::accessors::inner_accessors!();
}

impl<R, L: MapRequest<R>, S: Service<L::Request>> Service<R> for Mapped<L, S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(self.layer.map_request(request))
    }
}
