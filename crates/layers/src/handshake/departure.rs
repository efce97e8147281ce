use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep};

use super::HandshakeRequest;

/// A client left while it waited for its turn. Nothing is wrong with it, and nothing was dialled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("client left while it waited for its turn")]
pub struct Departed;

/// How often a request is looked at whose io wakes no task any more.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after the peer of a request that waits.
#[derive(Debug, Default)]
pub(crate) struct Departure(Option<Pin<Box<Sleep>>>);

// ===== impl Departure =====

impl Departure {
    /// Ready once the peer has left.
    pub(crate) fn poll<R: HandshakeRequest>(
        &mut self,
        request: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<Departed> {
        loop {
            if request.poll_departed(cx).is_ready() {
                return Poll::Ready(Departed);
            }
            let look = self.0.get_or_insert_with(|| Box::pin(sleep(LOOK)));
            ready!(look.as_mut().poll(cx));
            look.as_mut().reset(Instant::now() + LOOK);
        }
    }
}
