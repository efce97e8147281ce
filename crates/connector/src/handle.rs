use std::{net::SocketAddr, sync::Arc, time::Duration};

use couplet_endpoint::Side;
use couplet_layers::{Snapshot, Stats};
use couplet_pairing::{CloseReason, Session, SessionId};
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

    /// The TCP address on which a side listens, with the real port.
    ///
    /// # Errors
    ///
    /// [`ConnectorError::NoLocalAddr`] where the side is dialled, or listens on no TCP port.
    pub fn local_addr(&self, side: Side) -> Result<SocketAddr, ConnectorError> {
        self.local_addrs[side as usize].ok_or(ConnectorError::NoLocalAddr { side })
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

    /// The live session with this id.
    pub fn session(&self, id: SessionId) -> Option<Session> {
        self.stats().session(id)
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

    /// Waits until the connector is done: no more connections are taken and the last pair has
    /// ended. Cancel-safe.
    ///
    /// How the last pair ended, or the only one, tells [`last_end`](Self::last_end).
    ///
    /// # Errors
    ///
    /// What ended the connector, if that was a failure.
    pub async fn done(&self) -> Result<(), ConnectorError> {
        self.lifecycle.done().await;
        self.lifecycle.result(self.one_expected)
    }

    /// Why the last joined session that has ended came to its end; `None` before the first has.
    pub fn last_end(&self) -> Option<CloseReason> {
        self.lifecycle.last_end()
    }

    /// Is the connector done? [`done`](Self::done) returns at once then.
    pub fn is_done(&self) -> bool {
        self.lifecycle.is_done()
    }

    /// Ends everything at once, the live pairs too, and waits until the connector is done. Whether
    /// it had failed before is for [`done`](Self::done) to tell. Dropping the future stops the
    /// waiting alone.
    pub async fn close(&self) {
        self.lifecycle.close(CloseReason::Closed);
        self.lifecycle.done().await;
    }

    /// Drains: takes in the connections that are queued and then stops listening; lets those in a
    /// handshake or whose partner is dialled find it, and the live pairs end by themselves; ends
    /// what is left after the time `grace`, and waits until the connector is done. Connections that
    /// wait for a partner to come are let go as soon as none can come any more. Whether it had failed before is for [`done`](Self::done) to tell.
    ///
    /// Dropping the future stops the draining, not the stop; [`close`](Self::close) shortens it.
    pub async fn shutdown(&self, grace: Duration) {
        self.lifecycle.ask_to_drain();
        if tokio::time::timeout(grace, self.lifecycle.done())
            .await
            .is_err()
        {
            self.lifecycle.close(CloseReason::Shutdown);
        }
        self.lifecycle.done().await;
    }
}
