use std::time::Duration;

use tower_layer::Layer;

use super::{HandshakeService, HandshakeTimes};

/// Runs a [`Handshake`](super::Handshake) before a service. See the [module](super).
#[derive(Clone, Debug)]
pub struct HandshakeLayer<H> {
    handshake: H,
    pub(super) timeout: Option<Duration>,
    pub(super) bound: usize,
    pub(super) times: Option<HandshakeTimes>,
}

// ===== impl HandshakeLayer =====

impl<H> HandshakeLayer<H> {
    /// Runs this handshake, with a timeout of 10 s and 1024 slots.
    pub const fn new(handshake: H) -> Self {
        Self {
            handshake,
            timeout: Some(Duration::from_secs(10)),
            bound: 1024,
            times: None,
        }
    }

    /// Fails a handshake that is not done in this time. 10 s by default; `None` for no timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets this many requests be in a handshake, or wait for the inner service, at a time. 1024 by
    /// default. Beyond that a handshake gives way to a newcomer, or the layer is not ready: see the
    /// [module](super).
    ///
    /// # Panics
    ///
    /// If the bound is 0: no handshake would ever begin.
    #[must_use]
    pub const fn bound(mut self, bound: usize) -> Self {
        assert!(bound > 0, "bound is 0: no handshake could begin; 1 or more");
        self.bound = bound;
        self
    }

    /// Counts there how long each handshake took that went through.
    #[must_use]
    pub fn times(mut self, times: HandshakeTimes) -> Self {
        self.times = Some(times);
        self
    }
}

impl<H: Clone, S> Layer<S> for HandshakeLayer<H> {
    type Service = HandshakeService<H, S>;

    fn layer(&self, inner: S) -> Self::Service {
        HandshakeService::with(self.handshake.clone(), self, inner)
    }
}
