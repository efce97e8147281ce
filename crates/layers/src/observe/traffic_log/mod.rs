//! [`TrafficLog`]: the bytes of a pair, shown as they are read.
//!
//! ```text
//!  TrafficLogLayer ──layer──▶ TrafficLog ──wraps──▶ Logged<A>, Logged<B>
//!                                                      │ what is read
//!                                                 DirectionLog ──text, hex or JSON──▶ Sink
//! ```

mod colour;
mod direction;
mod hex;
#[cfg(feature = "json")]
mod json;
mod layer;
mod settings;
mod sink;
mod text;

#[cfg(test)]
mod tests;

pub use self::{
    colour::Colour,
    direction::{DirectionLog, Logged},
    layer::TrafficLogLayer,
};

use std::task::{Context, Poll};

use couplet_endpoint::Side;
use couplet_pairing::Pair;
use tower_service::Service;

/// Logs the bytes of the pairs it passes on: see [`TrafficLogLayer`].
#[derive(Clone, Debug)]
pub struct TrafficLog<S> {
    inner: S,
    layer: TrafficLogLayer,
}

// ===== impl TrafficLog =====

impl<S> TrafficLog<S> {
    /// Logs, as the layer says, the pairs that go to `inner`.
    pub const fn new(inner: S, layer: TrafficLogLayer) -> Self {
        Self { inner, layer }
    }

    crate::accessors::inner_accessors!();
}

impl<S, A, B> Service<Pair<A, B>> for TrafficLog<S>
where
    S: Service<Pair<Logged<A>, Logged<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let a = self.layer.log(Side::A, pair.session.id());
        let b = self.layer.log(Side::B, pair.session.id());
        let pair = pair
            .map_a(|io| Logged::new(io, a))
            .map_b(|io| Logged::new(io, b));
        self.inner.call(pair)
    }
}
