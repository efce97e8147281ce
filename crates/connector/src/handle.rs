use std::{sync::Arc, time::Duration};

use couplet_endpoint::{LocalAddr, Side};
use couplet_layers::{Snapshot, Stats};
use couplet_pairing::{CloseReason, Session, SessionId};
use futures::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use crate::{ConnectorError, RelayEvent, lifecycle::Lifecycle, mode::Pairing, succession::Before};

/// The handle of a started connector. Cheap to clone; dropping it leaves the connector running.
#[derive(Clone, Debug)]
pub struct Handle {
    lifecycle: Arc<Lifecycle>,
    local_addrs: [Option<LocalAddr>; 2],
    pairing: Pairing,
    one_expected: bool,
}

// ===== impl Handle =====

impl Handle {
    pub(crate) fn new(
        lifecycle: Arc<Lifecycle>,
        local_addrs: [Option<LocalAddr>; 2],
        pairing: Pairing,
        one_expected: bool,
    ) -> Self {
        Self {
            lifecycle,
            local_addrs,
            pairing,
            one_expected,
        }
    }

    /// What another connector takes over.
    pub(crate) fn before(&self) -> Before {
        let lifecycle = Arc::clone(&self.lifecycle);
        Before {
            stats: lifecycle.stats().clone(),
            observers: Arc::clone(lifecycle.observers()),
            is_paused: self.is_paused(),
            pairs: lifecycle.pair_places().cloned(),
            retire: Arc::new(move |places| lifecycle.retire(places)),
        }
    }

    /// The pairing of the two sides.
    pub fn pairing(&self) -> Pairing {
        self.pairing
    }

    /// The address on which a side listens, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// [`ConnectorError::NoLocalAddr`] where the side is dialled, or its endpoint has no address.
    pub fn local_addr(&self, side: Side) -> Result<LocalAddr, ConnectorError> {
        let addr = self.local_addrs[side as usize].clone();
        addr.ok_or(ConnectorError::NoLocalAddr { side })
    }

    /// The number of live pairs.
    pub fn live_pairs(&self) -> usize {
        self.stats().live_pairs()
    }

    /// The number of connections of a side that wait for a partner.
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

    /// A stream of the sessions that are joined from now on, which ends with the connector. A reader that
    /// is more than 256 sessions behind misses the oldest, and the log says how many.
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

    /// Calls this function with each [event](RelayEvent) from now on, beside those that were added before.
    ///
    /// The function runs in the task of the connection or pair, so it must return soon. A panic in it is
    /// caught.
    ///
    /// ```
    /// # use couplet_connector::{Handle, RelayEvent};
    /// fn count_resets(relay: &Handle) {
    ///     relay.observe(|event| {
    ///         if let RelayEvent::Ended { session, reason, .. } = event {
    ///             println!("session {} ended: {reason}", session.id());
    ///         }
    ///     });
    /// }
    /// ```
    pub fn observe(&self, observer: impl Fn(&RelayEvent<'_>) + Send + Sync + 'static) {
        self.lifecycle.observers().add(observer);
    }

    /// Accepts no more connections on either side until [`resume`](Self::resume). Listening sockets stay
    /// open, and clients wait in the accept queue (the backlog); connections that have been accepted, and
    /// pairs, go on. Nothing is dialled ahead, and a drain ends the pause.
    pub fn pause(&self) {
        self.lifecycle.pause().set(true);
    }

    /// Accepts connections again after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.lifecycle.pause().set(false);
    }

    /// Whether the relay is [paused](Self::pause).
    pub fn is_paused(&self) -> bool {
        self.lifecycle.pause().is_on()
    }

    /// Whether a drain or the end has begun.
    pub fn is_draining(&self) -> bool {
        self.lifecycle.drain().is_on() || self.lifecycle.is_stopped()
    }

    /// The live counters, of which [`snapshot`](Self::snapshot) is a copy.
    pub fn stats(&self) -> &Stats {
        self.lifecycle.stats()
    }

    /// The counters as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.stats().snapshot()
    }

    /// Waits until the connector is done: it accepts no more connections, and the last pair has ended.
    /// Cancel-safe.
    ///
    /// [`last_end`](Self::last_end) has the reason of the last pair's end.
    ///
    /// # Errors
    ///
    /// The failure that ended the connector, if one did.
    pub async fn done(&self) -> Result<(), ConnectorError> {
        self.lifecycle.done().await;
        self.lifecycle.result(self.one_expected)
    }

    /// The reason of the last session's end; `None` before a session has ended.
    pub fn last_end(&self) -> Option<CloseReason> {
        self.lifecycle.last_end()
    }

    /// Whether the connector is done, so that [`done`](Self::done) returns at once.
    pub fn is_done(&self) -> bool {
        self.lifecycle.is_done()
    }

    /// Ends all pairs and connections at once, and waits until the connector is done.
    /// [`done`](Self::done) returns an earlier failure. Dropping the future stops only the waiting.
    pub async fn close(&self) {
        self.lifecycle.close(CloseReason::Closed);
        self.lifecycle.done().await;
    }

    /// Leaves the listening sockets to another owner, which has duplicates of them
    /// ([`Listen::sockets`](couplet_endpoint::Listen::sockets)): begins to drain as
    /// [`shutdown`](Self::shutdown) does, but the clients in the system's queue are that owner's. Pairs have no
    /// deadline; [`done`](Self::done) tells when the last one has ended.
    ///
    /// Once this returns, no client is accepted that connects from then on.
    pub fn leave(&self) {
        self.lifecycle.retire(None);
    }

    /// Drains: accepts the clients in the system's queue, stops listening, lets handshakes, dials and live
    /// pairs end by themselves, ends what is left after the time `grace`, and waits until the connector is
    /// done. A connection that waits for a client of the other side is closed once no more can come.
    /// [`done`](Self::done) returns an earlier failure.
    ///
    /// Dropping the future leaves the live pairs without a deadline; nothing is accepted again.
    /// [`close`](Self::close) ends the drain.
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
