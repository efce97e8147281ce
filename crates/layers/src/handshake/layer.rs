use std::time::Duration;

use tower_layer::Layer;

use super::HandshakeService;

/// Puts a [`Handshake`](super::Handshake) before a service. See the [module](super).
#[derive(Clone, Debug)]
pub struct HandshakeLayer<H> {
    handshake: H,
    timeout: Option<Duration>,
    bound: usize,
}

// ===== impl HandshakeLayer =====

impl<H> HandshakeLayer<H> {
    /// With a deadline of 10 seconds, and at most 1024 at a time.
    pub const fn new(handshake: H) -> Self {
        Self {
            handshake,
            timeout: Some(Duration::from_secs(10)),
            bound: 1024,
        }
    }

    /// The time each handshake has; `None` for no deadline of its own.
    #[must_use]
    pub const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many requests may be shaking hands, or waiting for the inner service, at a time. When
    /// there are as many, the layer is not ready.
    ///
    /// # Panics
    ///
    /// If `bound` is 0: the layer would never be ready.
    #[must_use]
    pub const fn bound(mut self, bound: usize) -> Self {
        assert!(
            bound > 0,
            "bound is 0: no request could shake hands; 1 or more"
        );
        self.bound = bound;
        self
    }
}

impl<H: Clone, S> Layer<S> for HandshakeLayer<H> {
    type Service = HandshakeService<H, S>;

    fn layer(&self, inner: S) -> Self::Service {
        HandshakeService::new(self.handshake.clone(), self.timeout, self.bound, inner)
    }
}
