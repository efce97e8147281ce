use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, io::send_and_close};

use crate::{Refusal, unjoined::Unjoined};

/// The reply to refused connections.
#[derive(Clone)]
pub(super) struct RefusalReply {
    reply: Arc<dyn Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync>,
    within: Duration,
}

// ===== impl RefusalReply =====

impl RefusalReply {
    pub(super) fn new(
        reply: impl Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync + 'static,
        within: Duration,
    ) -> Self {
        Self {
            reply: Arc::new(reply),
            within,
        }
    }

    /// Sends the reply and closes the connection; without a reply it is reset.
    pub(super) fn send<I: Io>(
        &self,
        conn: Unjoined<I>,
        refusal: Refusal,
    ) -> Option<impl Future<Output = ()> + use<I>> {
        let reply = AssertUnwindSafe(|| (self.reply)(&conn.info, refusal));
        let reply = catch_unwind(reply).unwrap_or_else(|_| {
            tracing::error!(
                conn = conn.info.id.get(),
                "the closure for a reply panicked"
            );
            None
        })?;
        let io = conn.take().io;
        let within = self.within;
        Some(async move { send_and_close(io, &reply, within).await })
    }
}

impl fmt::Debug for RefusalReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalReply")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}
