use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Chain, Conn, Io, RelayName};
use couplet_layers::Handshake;
use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::oneshot, task::AbortHandle, time::sleep};
use tower_service::Service;
use yamux::Mode;

use super::{
    MuxWatch, Settings,
    carrier::drive,
    carriers::{Carrier, Carriers, Dialling, Next, told_by},
    control::Notice,
    error::MuxDialError,
    io::MuxIo,
    unread::Bound,
};

/// The carriers of a dial, by default.
const CARRIERS: usize = 16;

/// The new carriers that a call waits for.
const WAITS: u32 = 8;

/// Opens streams of carriers, which it dials when they are needed. See the [module](super). Clones share the
/// carriers.
///
/// A call opens a stream of the carrier with most room. Where there is none with room, another is dialled, for
/// all calls that come meanwhile; their clients may go, the dial goes on. A carrier is closed when no stream
/// and no clone is left. It has no deadline for the dial or the handshake, which have their own.
pub struct MuxDial<D, H>(Arc<Shared<D, H>>);

struct Shared<D, H> {
    // To be cloned.
    dial: Mutex<D>,
    handshake: Arc<H>,
    most: usize,
    settings: Settings,
    carriers: Carriers,
}

// ===== impl MuxDial =====

impl<D, H> MuxDial<D, H> {
    /// Dials carriers so, each with this handshake.
    pub fn new(dial: D, handshake: H) -> Self {
        Self(Arc::new(Shared {
            dial: Mutex::new(dial),
            handshake: Arc::new(handshake),
            most: CARRIERS,
            settings: Settings::default(),
            carriers: Carriers::default(),
        }))
    }

    /// At most this many streams of a carrier at a time; 1024 by default.
    ///
    /// # Panics
    ///
    /// If it is 0, or there are clones already.
    #[must_use]
    pub fn streams(self, streams: usize) -> Self {
        assert!(streams > 0, "no stream could be opened: 1 or more");
        self.set(|shared| shared.settings.streams = streams)
    }

    /// At most this many carriers at a time; 16 by default. Another is dialled when those that are there are full.
    ///
    /// # Panics
    ///
    /// If it is 0, or there are clones already.
    #[must_use]
    pub fn carriers(self, carriers: usize) -> Self {
        assert!(carriers > 0, "no carrier could be dialled: 1 or more");
        self.set(|shared| shared.most = carriers)
    }

    /// Pings a peer that has been silent for this long, and gives the carrier up when it stays silent for as long
    /// again. 30 s by default; never with `None`.
    ///
    /// # Panics
    ///
    /// If there are clones already.
    #[must_use]
    pub fn ping(self, after: Option<Duration>) -> Self {
        self.set(|shared| shared.settings.ping = after)
    }

    /// How much may be held, over all carriers, of what has come for streams that are not read: 512 MiB by default.
    /// With more, a carrier that holds more than its share is given up, with its streams.
    ///
    /// # Panics
    ///
    /// If there are clones already.
    #[must_use]
    pub fn unread(self, bytes: usize) -> Self {
        self.set(|shared| shared.settings.unread = Bound::new(bytes))
    }

    /// Counts the carriers and streams there.
    ///
    /// # Panics
    ///
    /// If there are clones already.
    #[must_use]
    pub fn watch(self, watch: MuxWatch) -> Self {
        self.set(|shared| shared.settings.watch = watch)
    }

    fn set(mut self, set: impl FnOnce(&mut Shared<D, H>)) -> Self {
        set(Arc::get_mut(&mut self.0).expect("it is set before it is cloned"));
        self
    }
}

impl<D, H, I, J> Shared<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    H: Handshake<Conn<I>, Output = Conn<J>, Future: Send> + Send + Sync + 'static,
    I: Io,
    J: Io,
{
    async fn connect(&self) -> Result<Conn<MuxIo>, MuxDialError> {
        let (mut tries, mut waits) = (0, 0);
        loop {
            match self.carriers.next(self.most, |pause| self.begin(pause)) {
                Next::Open(carrier, slot) => {
                    if let Some(conn) = carrier.open(slot).await {
                        self.carriers.works();
                        return Ok(conn);
                    }
                    // It may be dead, or take no more streams, and so may another's new one.
                    self.carriers.lost(carrier.known());
                    tries += 1;
                    if tries == 3 {
                        return Err(MuxDialError::NotOpened);
                    }
                }
                Next::Wait(dialled) => {
                    dialled.await?;
                    // Each may end before a stream of it is opened.
                    waits += 1;
                    if waits == WAITS {
                        return Err(MuxDialError::NotOpened);
                    }
                }
                Next::Full => return Err(MuxDialError::Full(self.most)),
            }
        }
    }

    /// Begins the dial of a carrier, after a pause.
    fn begin(&self, pause: Duration) -> (Dialling, AbortHandle) {
        let dial = self
            .dial
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let handshake = Arc::clone(&self.handshake);
        let (settings, carriers) = (self.settings.clone(), self.carriers.clone());
        let (tell, told) = oneshot::channel();
        let dialling = async move {
            sleep(pause).await;
            let watch = settings.watch.clone();
            let dialled = establish(dial, &*handshake, settings, carriers.clone()).await;
            let (carrier, result) = match dialled {
                Ok(carrier) => (Some(carrier), Ok(())),
                Err(error) => {
                    // Of a carrier that came to be, its driver tells.
                    if !matches!(error, MuxDialError::NotOpened) {
                        watch.refused();
                        tracing::debug!(error = %Chain(&error), "a carrier could not be dialled");
                    }
                    (None, Err(error))
                }
            };
            carriers.dialled(carrier);
            let _ = tell.send(result);
        };
        let task = tokio::spawn(RelayName::current().scope(dialling));
        (told_by(told), task.abort_handle())
    }
}

/// Dials a carrier, and waits until its peer speaks.
async fn establish<D, H, I, J>(
    mut dial: D,
    handshake: &H,
    settings: Settings,
    carriers: Carriers,
) -> Result<Carrier, MuxDialError>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>,
    H: Handshake<Conn<I>, Output = Conn<J>, Future: Send> + Sync,
    J: Io,
{
    let dialled = async {
        std::future::poll_fn(|cx| dial.poll_ready(cx)).await?;
        dial.call(()).await
    };
    let shared = |error: BoxError| Arc::<dyn StdError + Send + Sync>::from(error);
    let conn = dialled.await;
    let conn = conn.map_err(|error: D::Error| MuxDialError::Dial(shared(error.into())))?;
    let shaken = handshake.handshake(conn).await;
    let shaken = shaken.map_err(|error| MuxDialError::Handshake(shared(error.into())));
    let Conn { io, info } = shaken?;
    let (carrier, mut asked) = Carrier::new(settings.streams, info.clone());
    let (begins, begun) = oneshot::channel();
    let mut begins = Some(begins);
    let known = carrier.known().clone();
    let driving = async move {
        let mut counted = None;
        let notices = |notice| match notice {
            Notice::Begun => {
                tracing::info!(peer = %info.peer_name(), "a carrier is there");
                counted = Some(settings.watch.carrier());
                if let Some(begins) = begins.take() {
                    let _ = begins.send(());
                }
            }
            Notice::Away => {
                tracing::info!(peer = %info.peer_name(), "a carrier takes no more streams");
                carriers.leave(&known);
            }
        };
        let asks = move |cx: &mut Context<'_>| asked.poll_recv(cx);
        // Streams that the peer opens are cut: this end opens them.
        let ended = drive(io, Mode::Client, &settings, asks, |_, _| {}, notices).await;
        ended.tell(&info, &settings.watch);
        carriers.lost(&known);
        drop(counted);
    };
    tokio::spawn(RelayName::current().scope(driving));
    match begun.await {
        Ok(()) => Ok(carrier),
        Err(_) => Err(MuxDialError::NotOpened),
    }
}

impl<D, H, I, J, R> Service<R> for MuxDial<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    H: Handshake<Conn<I>, Output = Conn<J>, Future: Send> + Send + Sync + 'static,
    I: Io,
    J: Io,
{
    type Response = Conn<MuxIo>;
    type Error = MuxDialError;
    type Future = BoxFuture<'static, Result<Conn<MuxIo>, MuxDialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), MuxDialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        let shared = Arc::clone(&self.0);
        async move { shared.connect().await }.boxed()
    }
}

impl<D, H> Clone for MuxDial<D, H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D, H> Drop for Shared<D, H> {
    fn drop(&mut self) {
        self.carriers.stop();
    }
}

impl<D, H> fmt::Debug for MuxDial<D, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxDial").finish_non_exhaustive()
    }
}
