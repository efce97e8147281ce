use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use couplet_endpoint::Side;
use couplet_pairing::Pair;

use super::{Capture, Captured, conversation::Conversation, watch::Watch};
use crate::{
    mapped::{MapRequest, Mapped, mapped_layer},
    observe::redact::Redact,
};

/// Captures the bytes of pairs. See the [module](super).
#[derive(Clone, derive_more::Debug)]
#[must_use]
pub struct CaptureLayer {
    pub(super) capture: Capture,
    pub(super) limit: u64,
    #[debug(skip)]
    pub(super) redact: Redact,
    #[debug(skip)]
    pub(super) clock: fn() -> SystemTime,
}

/// Captures the bytes of pairs: made by [`CaptureLayer`].
pub type CaptureService<S> = Mapped<CaptureLayer, S>;

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

mapped_layer!(CaptureLayer);

impl<A, B> MapRequest<Pair<A, B>> for CaptureLayer {
    type Request = Pair<Captured<A>, Captured<B>>;

    fn map_request(&self, pair: Pair<A, B>) -> Self::Request {
        let conversation = self.capture.is_active().then(|| {
            let session = pair.session.handle();
            Arc::new(Mutex::new(Conversation::open(self.clone(), session)))
        });
        let watch = |side| Some(Watch::new(side, Arc::clone(conversation.as_ref()?)));
        pair.map_a(|io| Captured::new(io, watch(Side::A)))
            .map_b(|io| Captured::new(io, watch(Side::B)))
    }
}
