//! The drain: no new connections, but for those that are queued.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use couplet_endpoint::Side;
use futures::task::AtomicWaker;

/// Tells the loops that take the connections of the two sides. Clones share it.
///
/// Asked with each connection, so it is no `CancellationToken`: to ask one costs a lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicBool,
    /// One a side.
    loops: [AtomicWaker; 2],
}

// ===== impl Drain =====

impl Drain {
    pub(crate) fn begin(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        for waiting in &self.0.loops {
            waiting.wake();
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Whether it has begun; if not, the one loop of this side is woken when it does.
    pub(crate) fn poll_begun(&self, side: Side, cx: &Context<'_>) -> bool {
        // Registered before the look, so that no beginning falls between.
        self.0.loops[side as usize].register(cx.waker());
        self.has_begun()
    }
}
