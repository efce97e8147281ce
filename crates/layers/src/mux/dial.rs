use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Conn, Info, Io, Origin};
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tower_service::Service;
use yamux::Mode;

use super::{
    MuxIo, PATIENCE, STREAMS,
    carrier::{Open, drive},
};
use crate::Handshake;

/// Opens streams of one carrier, which it dials when it is first needed, and again when it has failed. See the
/// [module](super). Clones share the carrier.
///
/// The carrier is closed when no stream and no clone is left.
pub struct MuxDial<D, H>(Arc<Shared<D, H>>);

struct Shared<D, H> {
    dial: D,
    handshake: H,
    carrier: Mutex<Option<Carrier>>,
}

/// How streams are asked for.
#[derive(Clone)]
struct Carrier {
    opens: mpsc::Sender<Open>,
    /// For streams.
    slots: Arc<Semaphore>,
    /// The carrier's own.
    info: Arc<Info>,
}

/// No stream was opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MuxDialError {
    /// The carrier can't be dialled.
    #[error(transparent)]
    Dial(BoxError),
    /// The carrier's handshake failed.
    #[error("handshake of the carrier failed")]
    Handshake(#[source] BoxError),
    /// The carrier's handshake was not done in time.
    #[error("handshake of the carrier not done within {PATIENCE:?}")]
    Timeout,
    /// The peer opens no stream, over a new carrier too.
    #[error("peer opens no stream: it must have `mux`, too")]
    NotOpened,
}

// ===== impl MuxDial =====

impl<D, H> MuxDial<D, H> {
    /// Dials carriers so, each with this handshake.
    pub fn new(dial: D, handshake: H) -> Self {
        Self(Arc::new(Shared {
            dial,
            handshake,
            carrier: Mutex::new(None),
        }))
    }
}

impl<D, H, I, J> Shared<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync,
    H: Handshake<Conn<I>, Output = Conn<J>, Future: Send> + Send + Sync,
    I: Io,
    J: Io,
{
    async fn connect(&self) -> Result<Conn<MuxIo>, MuxDialError> {
        // The carrier that is there may be full, or dead, and so may another's new one.
        for _ in 0..3 {
            let carrier = self.carrier().await?;
            if let Ok(slot) = Arc::clone(&carrier.slots).try_acquire_owned()
                && let Some(conn) = carrier.open(slot).await
            {
                return Ok(conn);
            }
            self.give_up(&carrier).await;
        }
        Err(MuxDialError::NotOpened)
    }

    /// The carrier that is there, or a new one. Calls that come meanwhile wait for it.
    async fn carrier(&self) -> Result<Carrier, MuxDialError> {
        let mut there = self.carrier.lock().await;
        if let Some(carrier) = there.as_ref().filter(|carrier| !carrier.opens.is_closed()) {
            return Ok(carrier.clone());
        }
        let mut dial = self.dial.clone();
        let dialled = async {
            std::future::poll_fn(|cx| dial.poll_ready(cx)).await?;
            dial.call(()).await
        };
        let conn = dialled
            .await
            .map_err(|error: D::Error| MuxDialError::Dial(error.into()))?;
        let shaken = timeout(PATIENCE, self.handshake.handshake(conn)).await;
        let shaken = shaken.map_err(|_| MuxDialError::Timeout)?;
        let Conn { io, info } = shaken.map_err(|error| MuxDialError::Handshake(error.into()))?;
        let (opens, mut asked) = mpsc::channel(1);
        let asks = move |cx: &mut Context<'_>| asked.poll_recv(cx);
        // Streams that the peer opens are cut: this end opens them.
        tokio::spawn(drive(io, Mode::Client, STREAMS, asks, |_, _| {}));
        let carrier = there.insert(Carrier {
            opens,
            slots: Arc::new(Semaphore::new(STREAMS)),
            info: Arc::new(info),
        });
        Ok(carrier.clone())
    }

    /// The next call dials another, unless one did already.
    async fn give_up(&self, carrier: &Carrier) {
        let mut there = self.carrier.lock().await;
        if there
            .as_ref()
            .is_some_and(|there| there.opens.same_channel(&carrier.opens))
        {
            *there = None;
        }
    }
}

impl<D, H, I, J, R> Service<R> for MuxDial<D, H>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
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

impl<D, H> fmt::Debug for MuxDial<D, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxDial").finish_non_exhaustive()
    }
}

// ===== impl Carrier =====

impl Carrier {
    /// A stream, if the peer opens it, too.
    async fn open(&self, slot: OwnedSemaphorePermit) -> Option<Conn<MuxIo>> {
        let opened = async {
            let (open, opened) = oneshot::channel();
            self.opens.send(open).await.ok()?;
            let (stream, alive) = opened.await.ok()?;
            let mut io = MuxIo::new(stream, alive, Some(slot));
            io.open().await.ok()?;
            Some(io)
        };
        let io = timeout(PATIENCE, opened).await.ok().flatten()?;
        let mut info = Info::new(Origin::Dialled);
        info.target = self.info.target.clone();
        info.peer = self.info.peer;
        info.local = self.info.local;
        info.extensions = self.info.extensions.clone();
        Some(Conn { io, info })
    }
}
