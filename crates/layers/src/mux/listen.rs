use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Conn, Endpoint, Info, Io, LocalAddr, Origin};
use futures::Stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::PollSemaphore;
use yamux::Mode;

use super::{
    MuxIo, PATIENCE, STREAMS,
    carrier::{Alive, drive},
};
use crate::Handshake;

/// The streams of all carriers that come to an endpoint. See the [module](super).
///
/// A connection has the addresses of its carrier, and what the carrier's handshake has put into the
/// extensions of its [`Info`].
#[must_use = "an endpoint does nothing unless polled"]
pub struct MuxListen<E: Endpoint, H> {
    endpoint: Pin<Box<E>>,
    handshake: H,
    streams: usize,
    slots: PollSemaphore,
    slot: Option<OwnedSemaphorePermit>,
    came: (mpsc::Sender<Conn<MuxIo>>, mpsc::Receiver<Conn<MuxIo>>),
}

// ===== impl MuxListen =====

impl<E: Endpoint, H> MuxListen<E, H> {
    /// Accepts carriers from this endpoint, each after this handshake.
    pub fn new(endpoint: E, handshake: H) -> Self {
        Self {
            endpoint: Box::pin(endpoint),
            handshake,
            streams: STREAMS,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(1024))),
            slot: None,
            // A stream that is not taken waits in a task of its own.
            came: mpsc::channel(1),
        }
    }

    /// At most this many streams of a carrier at a time; 1024 by default. A carrier with more is closed.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub const fn streams(mut self, streams: usize) -> Self {
        assert!(streams > 0, "no stream could come: 1 or more");
        self.streams = streams;
        self
    }

    /// At most this many carriers at a time; 1024 by default. Others wait to be accepted.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn carriers(mut self, carriers: usize) -> Self {
        assert!(carriers > 0, "no carrier could come: 1 or more");
        self.slots = PollSemaphore::new(Arc::new(Semaphore::new(carriers)));
        self
    }
}

impl<E, H, J> Stream for MuxListen<E, H>
where
    E: Endpoint,
    H: Handshake<Conn<E::Io>, Output = Conn<J>, Future: Send + 'static> + Send + Unpin + 'static,
    J: Io,
{
    type Item = Result<Conn<MuxIo>, E::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(conn)) = self.came.1.poll_recv(cx) {
                return Poll::Ready(Some(Ok(conn)));
            }
            if self.slot.is_none() {
                self.slot = ready!(self.slots.poll_acquire(cx));
            }
            match self.endpoint.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(carrier))) => {
                    let shaking = self.handshake.handshake(carrier);
                    let came = self.came.0.clone();
                    let slot = self.slot.take();
                    tokio::spawn(carry(shaking, self.streams, came, slot));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<E, H, J> Endpoint for MuxListen<E, H>
where
    E: Endpoint,
    H: Handshake<Conn<E::Io>, Output = Conn<J>, Future: Send + 'static> + Send + Unpin + 'static,
    J: Io,
{
    type Io = MuxIo;
    type Error = E::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        self.endpoint.local_addr()
    }
}

impl<E: Endpoint, H> fmt::Debug for MuxListen<E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxListen")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// A carrier, from its handshake to its end.
async fn carry<J: Io, X: Into<BoxError>>(
    shaking: impl Future<Output = Result<Conn<J>, X>>,
    streams: usize,
    came: mpsc::Sender<Conn<MuxIo>>,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let carrier = match timeout(PATIENCE, shaking).await {
        Ok(Ok(carrier)) => carrier,
        Ok(Err(error)) => {
            let error: BoxError = error.into();
            let error = couplet_endpoint::Chain(&*error).to_string();
            tracing::info!(error, "a carrier is refused");
            return;
        }
        Err(_) => {
            tracing::info!("a carrier is refused: its handshake is not done within {PATIENCE:?}");
            return;
        }
    };
    let Conn { io, info } = carrier;
    // No stream is opened at this end. The carrier goes on until its peer ends it, or until the side takes no
    // more and the streams are over.
    let closed = came.clone();
    let mut closed = std::pin::pin!(closed.closed());
    let opens = |cx: &mut Context<'_>| closed.as_mut().poll(cx).map(|()| None);
    let begins = |stream, alive: Alive| {
        let begin = begin(
            MuxIo::new(stream, alive, None),
            stream_info(&info),
            came.clone(),
        );
        tokio::spawn(begin);
    };
    drive(io, Mode::Server, streams, opens, begins).await;
}

/// Hands a stream on, once its peer has said that it is open.
async fn begin(mut io: MuxIo, info: Info, came: mpsc::Sender<Conn<MuxIo>>) {
    if let Ok(Ok(())) = timeout(PATIENCE, io.open()).await {
        // A side that takes no more: the stream is cut.
        let _ = came.send(Conn { io, info }).await;
    }
}

fn stream_info(carrier: &Info) -> Info {
    let mut info = Info::new(Origin::Accepted);
    info.peer = carrier.peer;
    info.local = carrier.local;
    info.extensions = carrier.extensions.clone();
    info
}
