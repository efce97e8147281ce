use std::{
    fmt,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::SystemTime,
};

use couplet_endpoint::Side;
use couplet_pairing::Pair;
use tower_layer::Layer;
use tower_service::Service;

use super::{Capture, Captured, conversation::Conversation, watch::Watch};
use crate::observe::redact::Redact;

/// Captures the bytes of pairs. See the [module](super).
#[derive(Clone)]
#[must_use]
pub struct CaptureLayer {
    pub(super) capture: Capture,
    pub(super) limit: u64,
    pub(super) redact: Redact,
    pub(super) clock: fn() -> SystemTime,
}

/// Captures the bytes of pairs: made by [`CaptureLayer`].
#[derive(Clone, Debug)]
pub struct CaptureService<S> {
    layer: CaptureLayer,
    inner: S,
}

// ===== impl CaptureLayer =====

impl CaptureLayer {
    /// A layer that captures every byte.
    pub const fn new(capture: Capture) -> Self {
        Self {
            capture,
            limit: u64::MAX,
            redact: Redact::NOTHING,
            clock: SystemTime::now,
        }
    }

    /// Captures only the first `bytes` of each direction. Later bytes and the end are not seen and may be
    /// spliced: the packets of that direction stop, and the comment of the last one says so. No limit by
    /// default.
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Redacts: `redact` is called with the bytes of each read, wherever the stream was cut, and only the
    /// bytes that it leaves are captured. Nothing is redacted by default.
    pub fn redact(mut self, redact: impl Fn(Side, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.redact = Redact::new(redact);
        self
    }

    /// Uses another clock than the system's, for tests.
    pub const fn clock(mut self, now: fn() -> SystemTime) -> Self {
        self.clock = now;
        self
    }
}

impl<S> Layer<S> for CaptureLayer {
    type Service = CaptureService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CaptureService::new(inner, self.clone())
    }
}

impl fmt::Debug for CaptureLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureLayer")
            .field("capture", &self.capture)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

// ===== impl CaptureService =====

impl<S> CaptureService<S> {
    /// Captures the pairs that go to `inner`, with the settings of the layer.
    pub const fn new(inner: S, layer: CaptureLayer) -> Self {
        Self { layer, inner }
    }

    crate::accessors::inner_accessors!();
}

impl<S, A, B> Service<Pair<A, B>> for CaptureService<S>
where
    S: Service<Pair<Captured<A>, Captured<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let active = self.layer.capture.is_active();
        let conversation = active.then(|| {
            let session = pair.session.handle();
            Arc::new(Mutex::new(Conversation::open(self.layer.clone(), session)))
        });
        let watch = |side| Some(Watch::new(side, Arc::clone(conversation.as_ref()?)));
        let pair = pair
            .map_a(|io| Captured::new(io, watch(Side::A)))
            .map_b(|io| Captured::new(io, watch(Side::B)));
        self.inner.call(pair)
    }
}
