use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex as Lock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, Dial, Host, Info, Origin};
use couplet_layers::Replaceable;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use quinn::{ClientConfig, Connection, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::pki_types::ServerName;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::{
    ALPN, PATIENCE, QuicConfigError, QuicDialError, QuicIo, QuicOptions,
    carrier::{describe, of_stream},
    linger::Holds,
    socket,
};

/// How long after one address the next is dialled, while none has answered (RFC 8305, section 5).
const NEXT: Duration = Duration::from_millis(250);

/// Opens streams over carriers that it dials when they are needed. See the [module](super). Clones share the
/// carriers.
///
/// It is a [`tower::Service`](tower_service::Service), as [`Dial`] is.
#[derive(Clone)]
pub struct QuicDial(Arc<Shared>);

struct Shared {
    dial: Dial,
    tls: Replaceable<Arc<rustls::ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    options: QuicOptions,
    /// Of IPv4, and of IPv6.
    endpoints: Lock<[Option<Endpoint>; 2]>,
    carriers: Mutex<Vec<Carrier>>,
}

/// How streams are opened.
#[derive(Clone)]
struct Carrier {
    conn: Connection,
    /// For streams.
    slots: Arc<Semaphore>,
    streams: TaskTracker,
    info: Arc<Info>,
    framed: bool,
}

// ===== impl QuicDial =====

impl QuicDial {
    /// Dials the target of this dial, by its deadline, its rules, its family and its source; the options of its
    /// sockets are TCP's, and are not used.
    ///
    /// # Errors
    ///
    /// Where the configuration of TLS can't be used for QUIC.
    pub fn new(
        dial: Dial,
        tls: Arc<rustls::ClientConfig>,
        options: QuicOptions,
    ) -> Result<Self, QuicConfigError> {
        Self::replaceable(dial, Replaceable::new(tls), None, options)
    }

    /// The same with a configuration that can be replaced, for the carriers that are dialled then, and the name that
    /// the server's certificate must be for; by default that of the target.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new).
    pub fn replaceable(
        dial: Dial,
        tls: Replaceable<Arc<rustls::ClientConfig>>,
        server_name: Option<ServerName<'static>>,
        options: QuicOptions,
    ) -> Result<Self, QuicConfigError> {
        client(&tls.current(), options)?;
        Ok(Self(Arc::new(Shared {
            dial,
            tls,
            server_name,
            options,
            endpoints: Lock::new([None, None]),
            carriers: Mutex::new(Vec::new()),
        })))
    }

    /// Opens a stream. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`QuicDialError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn connect(&self) -> Result<Conn<QuicIo>, QuicDialError> {
        self.0.connect().await
    }
}

/// What happens to a client, for tests.
#[cfg(test)]
impl QuicDial {
    pub(super) async fn close_carriers(&self) {
        for carrier in &*self.0.carriers.lock().await {
            carrier.conn.close(super::DONE, b"");
        }
    }

    /// The way to the peer changes.
    pub(super) fn rebind(&self) {
        for endpoint in self.endpoints() {
            let socket = socket::dial((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            endpoint.rebind(socket).unwrap();
        }
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let endpoints = self.0.endpoints.lock().unwrap();
        endpoints.iter().flatten().cloned().collect()
    }
}

impl<R> Service<R> for QuicDial {
    type Response = Conn<QuicIo>;
    type Error = QuicDialError;
    type Future = BoxFuture<'static, Result<Conn<QuicIo>, QuicDialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), QuicDialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        let shared = Arc::clone(&self.0);
        async move { shared.connect().await }.boxed()
    }
}

impl fmt::Debug for QuicDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicDial")
            .field("target", self.0.dial.target())
            .finish_non_exhaustive()
    }
}

// ===== impl Shared =====

impl Shared {
    async fn connect(&self) -> Result<Conn<QuicIo>, QuicDialError> {
        // The carrier that is there may be dead, and another's new one full.
        let mut source = None;
        for _ in 0..3 {
            let (carrier, slot) = self.carrier().await?;
            if let Some(conn) = carrier.open(slot, self.dial.deadline()).await {
                return Ok(conn);
            }
            source = carrier.conn.close_reason();
            self.give_up(&carrier).await;
        }
        Err(QuicDialError::NotOpened {
            target: self.dial.target().to_string(),
            source,
        })
    }

    /// A carrier with room for a stream, or a new one. Calls that come meanwhile wait for it.
    async fn carrier(&self) -> Result<(Carrier, OwnedSemaphorePermit), QuicDialError> {
        let mut there = self.carriers.lock().await;
        there.retain(|carrier| carrier.conn.close_reason().is_none());
        for carrier in &*there {
            if let Ok(slot) = Arc::clone(&carrier.slots).try_acquire_owned() {
                return Ok((carrier.clone(), slot));
            }
        }
        let after = self.dial.deadline();
        let dialled = timeout(after, self.dial_carrier()).await;
        let carrier = dialled.unwrap_or_else(|_| {
            let target = self.dial.target().to_string();
            Err(QuicDialError::Timeout { target, after })
        })?;
        let slot = Arc::clone(&carrier.slots).try_acquire_owned();
        there.push(carrier.clone());
        match slot {
            Ok(slot) => Ok((carrier, slot)),
            Err(_) => unreachable!("a carrier has room for one stream"),
        }
    }

    /// The next call dials another.
    async fn give_up(&self, carrier: &Carrier) {
        let id = carrier.conn.stable_id();
        let mut there = self.carriers.lock().await;
        there.retain(|other| other.conn.stable_id() != id);
    }

    /// The addresses in turn, until one answers.
    async fn dial_carrier(&self) -> Result<Carrier, QuicDialError> {
        let addrs = self.dial.candidates().await?;
        let config = client(&self.tls.current(), self.options)?;
        let name = self.name();
        let mut attempts: FuturesUnordered<_> = addrs
            .into_iter()
            .enumerate()
            .map(|(turn, addr)| {
                let (config, name) = (config.clone(), &name);
                async move {
                    sleep(NEXT * u32::try_from(turn).unwrap_or(u32::MAX)).await;
                    let dialled = self.handshake(addr, config, name).await;
                    dialled.map_err(|error| (addr, error))
                }
            })
            .collect();
        let mut last = None;
        while let Some(dialled) = attempts.next().await {
            match dialled {
                Ok(carrier) => return Ok(carrier),
                Err(failed) => last = Some(failed),
            }
        }
        let (addr, source) = last.expect("a look-up finds an address, or fails");
        Err(QuicDialError::Carrier {
            target: self.dial.target().to_string(),
            addr,
            source,
        })
    }

    async fn handshake(
        &self,
        addr: SocketAddr,
        config: ClientConfig,
        name: &str,
    ) -> Result<Carrier, BoxError> {
        let endpoint = self.endpoint(addr)?;
        let conn = endpoint.connect_with(config, addr, name)?.await?;
        let local = endpoint.local_addr().ok();
        let (mut info, framed) = describe(&conn, Origin::Dialled, local, Some(name));
        info.target = Some(Arc::new(self.dial.target().clone()));
        Ok(Carrier {
            conn,
            slots: Arc::new(Semaphore::new(self.options.streams as usize)),
            streams: TaskTracker::new(),
            info: Arc::new(info),
            framed,
        })
    }

    /// The socket to dial this address from.
    fn endpoint(&self, addr: SocketAddr) -> Result<Endpoint, BoxError> {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_family = &mut endpoints[usize::from(addr.is_ipv6())];
        if let Some(endpoint) = of_family {
            return Ok(endpoint.clone());
        }
        let any: IpAddr = match addr {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = self.dial.source_addr().unwrap_or(any);
        let opened = socket::dial(SocketAddr::new(local, 0));
        let opened = opened.and_then(|socket| socket::drive(socket, None));
        let endpoint = opened.map_err(QuicDialError::Socket)?;
        Ok(of_family.insert(endpoint).clone())
    }

    /// The name that the server's certificate must be for.
    fn name(&self) -> String {
        if let Some(name) = &self.server_name {
            return name.to_str().into_owned();
        }
        match self.dial.target().host() {
            // Certificates have no dot at the end of a name.
            Host::Name(name) => name.as_str().trim_end_matches('.').to_owned(),
            Host::Ip(ip) => ip.to_string(),
            Host::Scoped(ip, _) => ip.to_string(),
            other => other.to_string(),
        }
    }
}

// ===== impl Carrier =====

impl Carrier {
    /// A stream, if the peer takes it.
    async fn open(&self, slot: OwnedSemaphorePermit, deadline: Duration) -> Option<Conn<QuicIo>> {
        let opened = async {
            let (send, recv) = self.conn.open_bi().await.ok()?;
            let holds = Holds {
                _of_carrier: self.streams.token(),
                _slot: Some(slot),
            };
            let mut io = QuicIo::new(send, recv, self.framed, holds);
            io.say_open().await.ok()?;
            io.hear_open().await.ok()?;
            Some(io)
        };
        let io = timeout(deadline.min(PATIENCE), opened).await.ok()??;
        let info = of_stream(&self.info);
        Some(Conn { io, info })
    }
}

/// What quinn makes of a client's configuration.
fn client(
    tls: &rustls::ClientConfig,
    options: QuicOptions,
) -> Result<ClientConfig, QuicConfigError> {
    let mut tls = tls.clone();
    tls.enable_early_data = false;
    if tls.alpn_protocols.is_empty() {
        tls.alpn_protocols = vec![ALPN.to_vec()];
    }
    let crypto =
        QuicClientConfig::try_from(Arc::new(tls)).map_err(|source| QuicConfigError { source })?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(options.transport(false));
    Ok(config)
}
