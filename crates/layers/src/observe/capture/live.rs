//! The capture of a pair that is live already.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use couplet_endpoint::Side;
use couplet_pairing::{Session, Tap, Tapped};

use super::{Capture, CaptureLayer, conversation::Conversation, queue::Queue};

/// The capture of a live session: made by [`Capture::tap`]. Dropping it ends the capture of this session;
/// what has been captured is still written.
#[derive(Debug)]
#[must_use = "dropping it ends the capture"]
pub struct LiveCapture {
    queue: Arc<Queue>,
    _tapped: Tapped,
}

/// The conversation, and with it the capture, is dropped at the end of the session, or of the guard.
struct Tapping(Mutex<Conversation>);

// ===== impl LiveCapture =====

impl LiveCapture {
    pub(super) fn begin(capture: &Capture, session: &Session) -> Option<Self> {
        let layer = CaptureLayer::new(capture.clone());
        let conversation = Conversation::open(layer, session.clone());
        let tapped = session.tap(Tapping(Mutex::new(conversation)))?;
        Some(Self {
            queue: Arc::clone(&capture.queue.0),
            _tapped: tapped,
        })
    }

    /// Whether all packets have been taken so far. Not where the writer was too slow, or has failed: the capture
    /// has stopped then.
    pub fn is_whole(&self) -> bool {
        self.queue.is_whole()
    }
}

// ===== impl Tapping =====

impl Tapping {
    /// One task moves the bytes of a pair, so the lock is not waited for.
    fn conversation(&self) -> MutexGuard<'_, Conversation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Tapping {
    fn data(&self, from: Side, bytes: &[u8]) {
        self.conversation().data(from, bytes);
    }

    fn ended(&self, from: Side) {
        self.conversation().ended(from);
    }

    fn failed(&self, side: Side, error: &io::Error) {
        self.conversation().failed(side, error);
    }

    fn is_done(&self) -> bool {
        let conversation = self.conversation();
        [Side::A, Side::B]
            .iter()
            .all(|from| conversation.is_over(*from))
    }
}
