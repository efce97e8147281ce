use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{
    AddressError, BindError, Conn, Endpoint, FairSlots, GivesWay, ListenAddr, LocalAddr, RelayName,
};
use couplet_layers::Replaceable;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::{QuicConfigError, QuicIo, QuicOptions, hub::Hub, socket};

/// The streams that wait to be taken by the side.
const PLACES: usize = 1024;

/// How long a handshake has its slot, or is silent, before it gives way to another address.
const GIVES_WAY: GivesWay = GivesWay::Quietest {
    silent: Duration::from_millis(500),
    after: Duration::from_secs(2),
};

/// Listens for QUIC: the streams that come over all carriers. See the [module](super).
///
/// Clones take from the same queue, so that one relay can take the place of another. When the last is dropped, no
/// more carriers and streams are taken; the streams that are there go on, and each carrier is closed behind its
/// last.
///
/// [`Info::peer`](couplet_endpoint::Info::peer) is the client, and what its handshake has brought is in the
/// extensions: [`TlsInfo`](crate::TlsInfo), and the [`Identity`](couplet_layers::Identity) of a client certificate.
#[derive(Clone)]
#[must_use = "an endpoint does nothing unless polled"]
pub struct QuicListen {
    came: Arc<Mutex<mpsc::Receiver<Conn<QuicIo>>>>,
    locals: Arc<[SocketAddr]>,
    hub: Arc<Hub>,
    _open: Arc<DropGuard>,
}

/// The options of a listener that are not of each carrier.
#[derive(Clone, Debug)]
#[must_use = "nothing listens until it is bound"]
pub struct QuicListenOptions {
    options: QuicOptions,
    tls: Replaceable<Arc<rustls::ServerConfig>>,
    carriers: usize,
    handshakes: usize,
    reuse_port: bool,
}

// ===== impl QuicListen =====

impl QuicListen {
    /// Listens on a [`SocketAddr`], a [`ListenAddr`], or a string such as `9000` or `*:9000`, of UDP, with the
    /// default [`options`](Self::options).
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn bind<A>(
        addr: A,
        tls: Arc<rustls::ServerConfig>,
        options: QuicOptions,
    ) -> Result<Self, BindError>
    where
        A: TryInto<ListenAddr, Error: Into<AddressError>>,
    {
        Self::options(Replaceable::new(tls), options)
            .bind(addr)
            .await
    }

    /// Options, to be set before [`bind`](QuicListenOptions::bind). The configuration of TLS can be replaced later,
    /// for the carriers that come then: for renewed certificates.
    pub fn options(
        tls: Replaceable<Arc<rustls::ServerConfig>>,
        options: QuicOptions,
    ) -> QuicListenOptions {
        QuicListenOptions {
            options,
            tls,
            carriers: 128,
            handshakes: 1024,
            reuse_port: false,
        }
    }

    /// Other settings, for the carriers that come from now on.
    ///
    /// # Errors
    ///
    /// Where the configuration of TLS can't be used for QUIC; all is as it was then.
    pub fn replace(
        &self,
        tls: Replaceable<Arc<rustls::ServerConfig>>,
        options: QuicOptions,
    ) -> Result<(), QuicConfigError> {
        self.hub.replace(tls, options)
    }

    /// The addresses listened on: one, or those of a name. All have the same port.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.locals.iter().copied()
    }
}

// ===== impl QuicListenOptions =====

impl QuicListenOptions {
    /// At most this many carriers at a time; more are refused. 128 by default: with the other defaults each can hold
    /// 25 MiB that is not read, all of them 3.2 GiB.
    pub const fn carriers(mut self, carriers: usize) -> Self {
        self.carriers = carriers;
        self
    }

    /// At most this many handshakes of carriers under way, shared fairly among the addresses. 1024 by default.
    pub const fn handshakes(mut self, handshakes: usize) -> Self {
        self.handshakes = handshakes;
        self
    }

    /// Lets several sockets of the same user listen on one port (`SO_REUSEPORT`). Linux spreads packets by the
    /// client's address, so a client that changes its address comes to another, and is lost. Off by default.
    pub const fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Listens.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn bind<A>(self, addr: A) -> Result<QuicListen, BindError>
    where
        A: TryInto<ListenAddr, Error: Into<AddressError>>,
    {
        let addr = addr.try_into();
        let addr: ListenAddr = addr.map_err(|error| {
            let error: AddressError = error.into();
            BindError::of(&error.input(), io::Error::other(error.clone()))
        })?;
        let sockets = socket::listen(&addr, self.reuse_port).await?;
        let failed = |error| BindError::of(&format_args!("quic:{addr}"), error);
        let (come, came) = mpsc::channel(PLACES);
        let slots = FairSlots::new(self.handshakes, GIVES_WAY);
        let hub = Hub::new(self.tls, self.options, slots, self.carriers, come);
        let hub = Arc::new(hub);
        let config = hub
            .config()
            .map_err(|error| failed(io::Error::other(error)))?;
        let guard = hub.closed.clone().drop_guard();
        let mut locals = Vec::new();
        for socket in sockets {
            let local = socket.local_addr().map_err(failed)?;
            let endpoint = socket::drive(socket, Some((*config).clone())).map_err(failed)?;
            let accepting = Arc::clone(&hub).accept(endpoint, local);
            tokio::spawn(RelayName::current().scope(accepting));
            locals.push(local);
        }
        Ok(QuicListen {
            came: Arc::new(Mutex::new(came)),
            locals: locals.into(),
            hub,
            _open: Arc::new(guard),
        })
    }
}

// ===== the endpoint =====

impl Stream for QuicListen {
    type Item = io::Result<Conn<QuicIo>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Also after a panic the queue is whole.
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.poll_recv(cx).map(|conn| conn.map(Ok))
    }
}

impl Endpoint for QuicListen {
    type Io = QuicIo;
    type Error = io::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        self.locals.first().copied().map(LocalAddr::Quic)
    }
}

impl fmt::Debug for QuicListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListen")
            .field("locals", &self.locals)
            .finish_non_exhaustive()
    }
}
