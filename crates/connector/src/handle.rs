use std::{net::SocketAddr, sync::Arc, time::Duration};

use couplet_endpoint::Side;
use couplet_layers::{Snapshot, Stats};
use couplet_pairing::{CloseReason, Session};
use futures::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use crate::{ConnectorError, lifecycle::Lifecycle};

/// A connector that has been started. Cheap to clone; dropping it leaves the connector running.
#[derive(Clone, Debug)]
pub struct Handle {
    lifecycle: Arc<Lifecycle>,
    local_addrs: [Option<SocketAddr>; 2],
    one_expected: bool,
}

// ===== impl Handle =====

impl Handle {
    pub(crate) fn new(
        lifecycle: Arc<Lifecycle>,
        local_addrs: [Option<SocketAddr>; 2],
        one_expected: bool,
    ) -> Self {
        Self {
            lifecycle,
            local_addrs,
            one_expected,
        }
    }

    /// Where a side listens, with the real port; `None` where it dials.
    pub fn local_addr(&self, side: Side) -> Option<SocketAddr> {
        self.local_addrs[side as usize]
    }

    /// How many pairs are live.
    pub fn live_pairs(&self) -> usize {
        self.stats().live_pairs()
    }

    /// How many connections of a side wait for a partner.
    pub fn waiting(&self, side: Side) -> u64 {
        let snapshot = self.snapshot();
        match side {
            Side::A => snapshot.a.waiting,
            Side::B => snapshot.b.waiting,
        }
    }

    /// The live sessions, the oldest first.
    pub fn sessions(&self) -> Vec<Session> {
        self.stats().sessions()
    }

    /// The sessions that are joined from now on, one item each. It ends with the connector. A
    /// reader that is more than 256 behind misses the oldest, and the log says how many.
    pub fn session_stream(&self) -> impl Stream<Item = Session> + Send + Unpin + 'static {
        let sessions = self.lifecycle.sessions();
        let lifecycle = Arc::clone(&self.lifecycle);
        Box::pin(stream::unfold(
            (sessions, lifecycle),
            |(mut sessions, lifecycle)| async move {
                loop {
                    let next = tokio::select! {
                        biased;
                        next = sessions.recv() => next,
                        () = lifecycle.done() => return None,
                    };
                    match next {
                        Ok(session) => return Some((session, (sessions, lifecycle))),
                        Err(RecvError::Lagged(missed)) => {
                            tracing::warn!(missed, "the reader of the session stream is too slow");
                        }
                        Err(RecvError::Closed) => return None,
                    }
                }
            },
        ))
    }

    /// The counters themselves: the same as [`snapshot`](Self::snapshot) shows, live.
    pub fn stats(&self) -> &Stats {
        self.lifecycle.stats()
    }

    /// The counters as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.stats().snapshot()
    }

    /// Waits until it is done: it takes no more connections and the last pair has ended.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// What ended it, if that was a failure.
    pub async fn done(&self) -> Result<(), ConnectorError> {
        self.lifecycle.done().await;
        self.lifecycle.result(self.one_expected)
    }

    /// Is it done?
    pub fn is_closed(&self) -> bool {
        self.lifecycle.is_done()
    }

    /// Ends everything at once, the live pairs too, and waits until it is done.
    ///
    /// # Errors
    ///
    /// As [`done`](Self::done).
    pub async fn close(&self) -> Result<(), ConnectorError> {
        self.lifecycle.close(CloseReason::Closed);
        self.done().await
    }

    /// Drains: stops listening, lets go of the connections that have no partner, gives the live
    /// pairs `grace` to end by themselves, ends what is then left, and waits until it is done.
    /// Dropping the future stops the draining, not the stop; [`close`](Self::close) shortens it.
    ///
    /// # Errors
    ///
    /// As [`done`](Self::done).
    pub async fn shutdown(&self, grace: Duration) -> Result<(), ConnectorError> {
        self.lifecycle.ask_to_stop();
        if tokio::time::timeout(grace, self.lifecycle.done())
            .await
            .is_err()
        {
            self.lifecycle.close(CloseReason::Shutdown);
        }
        self.done().await
    }
}
