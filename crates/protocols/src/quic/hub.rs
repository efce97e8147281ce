//! What accepts carriers, and the streams of each.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use couplet_endpoint::{
    Chain, Conn, FairSlot, FairSlots, Origin, PeerNetwork, RelayName, shown_client,
};
use couplet_layers::Replaceable;
use quinn::{
    Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig,
    crypto::rustls::QuicServerConfig,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ALPN, DONE, PATIENCE, QuicConfigError, QuicIo, QuicOptions, REFUSED, UNUSED,
    carrier::{describe, of_stream},
    linger::Holds,
};

/// From this many handshakes under way on, a client has to prove its address.
pub(super) const RETRY_FROM: usize = 64;

/// The sockets of a listener, and what they share.
pub(super) struct Hub {
    settings: Mutex<Settings>,
    pub(super) handshakes: FairSlots,
    pub(super) carriers: Arc<Semaphore>,
    pub(super) came: mpsc::Sender<Conn<QuicIo>>,
    carrying: TaskTracker,
    /// No more carriers, and no more streams.
    pub(super) closed: CancellationToken,
}

/// What the next carrier has.
struct Settings {
    tls: Replaceable<Arc<rustls::ServerConfig>>,
    options: QuicOptions,
    built: Option<Built>,
}

/// The configuration of quinn that was made of one of rustls.
#[derive(Clone)]
struct Built {
    of: Arc<rustls::ServerConfig>,
    config: Arc<ServerConfig>,
}

// ===== impl Hub =====

impl Hub {
    pub(super) fn new(
        tls: Replaceable<Arc<rustls::ServerConfig>>,
        options: QuicOptions,
        handshakes: FairSlots,
        carriers: usize,
        came: mpsc::Sender<Conn<QuicIo>>,
    ) -> Self {
        Self {
            settings: Mutex::new(Settings {
                tls,
                options,
                built: None,
            }),
            handshakes,
            carriers: Arc::new(Semaphore::new(carriers.min(Semaphore::MAX_PERMITS))),
            came,
            carrying: TaskTracker::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Other settings for the carriers that come from now on.
    pub(super) fn replace(
        &self,
        tls: Replaceable<Arc<rustls::ServerConfig>>,
        options: QuicOptions,
    ) -> Result<(), QuicConfigError> {
        let of = tls.current();
        let config = Arc::new(server(&of, options)?);
        let built = Some(Built { of, config });
        *self.settings() = Settings {
            tls,
            options,
            built,
        };
        Ok(())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        // Nothing in there panics half-way.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration for the next carrier.
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, QuicConfigError> {
        let mut settings = self.settings();
        let tls = settings.tls.current();
        let built = settings.built.as_ref();
        if let Some(built) = built.filter(|built| Arc::ptr_eq(&built.of, &tls)) {
            return Ok(Arc::clone(&built.config));
        }
        let config = Arc::new(server(&tls, settings.options)?);
        settings.built = Some(Built {
            of: tls,
            config: Arc::clone(&config),
        });
        Ok(config)
    }

    /// Accepts carriers until the hub is closed.
    pub(super) async fn accept(self: Arc<Self>, endpoint: Endpoint, local: SocketAddr) {
        loop {
            let incoming = tokio::select! {
                incoming = endpoint.accept() => incoming,
                () = self.closed.cancelled() => break,
            };
            let Some(incoming) = incoming else { break };
            self.admit(incoming, local);
        }
        // What comes from now on is refused, while carriers that are there go on.
        self.carrying.close();
        loop {
            tokio::select! {
                () = self.carrying.wait() => break,
                Some(incoming) = endpoint.accept() => incoming.refuse(),
                else => break,
            }
        }
    }

    fn admit(self: &Arc<Self>, incoming: Incoming, local: SocketAddr) {
        let network = PeerNetwork::of(Some(incoming.remote_address().ip()));
        if self.handshakes.taken() >= RETRY_FROM && incoming.may_retry() {
            // Costs this end nothing but a packet.
            let _ = incoming.retry();
            return;
        }
        let slot = self.handshakes.enter(Some(network));
        let permit = Arc::clone(&self.carriers).try_acquire_owned();
        let (Some(slot), Ok(permit)) = (slot, permit) else {
            tracing::debug!(peer = %shown_client(incoming.remote_address()), "a carrier is refused: there are too many");
            incoming.refuse();
            return;
        };
        let carried = Arc::clone(self).carry(incoming, local, slot, permit);
        self.carrying.spawn(RelayName::current().scope(carried));
    }

    /// A carrier, from its handshake to its end.
    async fn carry(
        self: Arc<Self>,
        incoming: Incoming,
        local: SocketAddr,
        slot: FairSlot,
        _permit: OwnedSemaphorePermit,
    ) {
        let peer = incoming.remote_address();
        let conn = match self.shake(incoming, &slot).await {
            Ok(conn) => conn,
            Err(error) => {
                tracing::info!(peer = %shown_client(peer), error, "a carrier is refused");
                return;
            }
        };
        drop(slot);
        let (info, framed) = describe(&conn, Origin::Accepted, Some(local), None);
        let streams = TaskTracker::new();
        streams.close();
        while let Some((send, recv)) = self.next_stream(&conn, &streams).await {
            let holds = Holds {
                _of_carrier: streams.token(),
                _slot: None,
            };
            let io = QuicIo::new(send, recv, framed, holds);
            tokio::select! {
                () = self.take(io, of_stream(&info)) => {}
                () = self.closed.cancelled() => {}
                _ = conn.closed() => return,
            }
        }
        // The streams that are there come to their ends.
        loop {
            tokio::select! {
                () = streams.wait() => break,
                _ = conn.closed() => return,
                stream = conn.accept_bi() => match stream {
                    Ok((mut send, mut recv)) => {
                        let _ = (send.reset(REFUSED), recv.stop(REFUSED));
                    }
                    Err(_) => return,
                },
            }
        }
        conn.close(DONE, b"");
    }

    async fn shake(&self, incoming: Incoming, slot: &FairSlot) -> Result<Connection, String> {
        let config = self.config().map_err(|error| error.to_string())?;
        let connecting = incoming
            .accept_with(config)
            .map_err(|error| Chain(&error).to_string())?;
        let mut shaking = pin!(timeout(PATIENCE, connecting));
        let shaken = poll_fn(|cx| match slot.poll_gives_way(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => shaking.as_mut().poll(cx).map(Some),
        });
        match shaken.await {
            None => Err("it gave way to another client's handshake".into()),
            Some(Err(_)) => Err(format!("handshake not done within {PATIENCE:?}")),
            Some(Ok(Err(error))) => Err(Chain(&error).to_string()),
            Some(Ok(Ok(conn))) => Ok(conn),
        }
    }

    /// The next stream that the peer opens; `None` where no more are taken.
    async fn next_stream(
        &self,
        conn: &Connection,
        streams: &TaskTracker,
    ) -> Option<(SendStream, RecvStream)> {
        let mut unused = false;
        loop {
            tokio::select! {
                stream = conn.accept_bi() => return stream.ok(),
                () = self.closed.cancelled() => return None,
                () = tokio::time::sleep(UNUSED) => {
                    match (streams.is_empty(), unused) {
                        (true, true) => return None,
                        (is_unused, _) => unused = is_unused,
                    }
                }
            }
        }
    }

    /// Hands a stream on, once there is a place for it.
    async fn take(&self, mut io: QuicIo, info: couplet_endpoint::Info) {
        let Ok(place) = self.came.reserve().await else {
            return;
        };
        if io.say_open().await.is_ok() {
            place.send(Conn { io, info });
        }
    }
}

/// What quinn makes of a server's configuration.
pub(super) fn server(
    tls: &rustls::ServerConfig,
    options: QuicOptions,
) -> Result<ServerConfig, QuicConfigError> {
    let mut tls = tls.clone();
    tls.max_early_data_size = 0;
    if tls.alpn_protocols.is_empty() {
        tls.alpn_protocols = vec![ALPN.to_vec()];
    }
    let crypto =
        QuicServerConfig::try_from(Arc::new(tls)).map_err(|source| QuicConfigError { source })?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(options.transport(true))
        .migration(true)
        .max_incoming(4096);
    Ok(config)
}
