use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use couplet_endpoint::Side;

use super::conversation::Conversation;
use crate::observe::observed::{Observe, Observed};

/// The io of a captured pair: made by [`CaptureLayer`](super::CaptureLayer).
pub type Captured<I> = Observed<I, Watch>;

/// Adds the bytes read from one side to the pair's conversation.
#[derive(derive_more::Debug)]
pub struct Watch {
    from: Side,
    #[debug(skip)]
    conversation: Arc<Mutex<Conversation>>,
}

// ===== impl Watch =====

impl Watch {
    pub(super) const fn new(from: Side, conversation: Arc<Mutex<Conversation>>) -> Self {
        Self { from, conversation }
    }

    /// Both directions belong to one task, so the lock is never waited for.
    fn conversation(&self) -> MutexGuard<'_, Conversation> {
        let conversation = self.conversation.lock();
        conversation.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Watch {
    fn data(&mut self, bytes: &[u8]) {
        self.conversation().data(self.from, bytes);
    }

    fn ended(&mut self) {
        self.conversation().ended(self.from);
    }

    fn failed(&mut self, error: &io::Error) {
        self.conversation().failed(self.from, error);
    }

    fn is_done(&self) -> bool {
        self.conversation().is_over(self.from)
    }
}
