use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{
    AcceptErrors, BoxError, Chain, Conn, ConnEvent, Endpoint, FairSlot, FairSlots, GivesWay, Info,
    Io, LocalAddr, Origin, RelayName, Side,
};
use couplet_layers::Handshake;
use futures::{
    FutureExt, Stream, TryFutureExt,
    future::{Either, select},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use yamux::Mode;

use super::{
    MuxWatch, PATIENCE, Settings, carrier::drive, control::Notice, io::MuxIo, unread::Bound,
};

/// The carriers of an endpoint, by default.
const CARRIERS: usize = 128;

/// A carrier gives way while it has brought no stream.
const GIVES_WAY: GivesWay = GivesWay::Oldest {
    after: Duration::from_secs(1),
};

/// The streams of all carriers that come to an endpoint. See the [module](super).
///
/// A connection has the addresses of its carrier, and what the carrier's handshake has put into the
/// extensions of its [`Info`]. When this is dropped the carriers take no more streams, which their peers are
/// told, and end with those that are there. The handshake has its own deadline, or none.
#[must_use = "an endpoint does nothing unless polled"]
pub struct MuxListen<E: Endpoint, H> {
    endpoint: Pin<Box<E>>,
    handshake: H,
    settings: Settings,
    slots: FairSlots,
    /// A slot is reserved.
    is_ready: bool,
    /// `None` once the endpoint has ended: the carriers that are there have theirs.
    comes: Option<UnboundedSender<Conn<MuxIo>>>,
    // What is not taken is bounded by the carriers and their streams.
    came: UnboundedReceiver<Conn<MuxIo>>,
}

/// A carrier's place, which it has for sure once it has brought a stream.
struct Place {
    slot: FairSlot,
    is_used: Arc<AtomicBool>,
}

// ===== impl MuxListen =====

impl<E: Endpoint, H> MuxListen<E, H> {
    /// Takes carriers from this endpoint, each after this handshake.
    pub fn new(endpoint: E, handshake: H) -> Self {
        let (comes, came) = unbounded_channel();
        Self {
            endpoint: Box::pin(endpoint),
            handshake,
            settings: Settings::default(),
            slots: FairSlots::new(CARRIERS, GIVES_WAY),
            is_ready: false,
            comes: Some(comes),
            came,
        }
    }

    /// At most this many streams of a carrier at a time; 1024 by default. One more is cut.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn streams(mut self, streams: usize) -> Self {
        assert!(streams > 0, "no stream could come: 1 or more");
        self.settings.streams = streams;
        self
    }

    /// At most this many carriers at a time; 128 by default. Others wait to be accepted.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn carriers(mut self, carriers: usize) -> Self {
        assert!(carriers > 0, "no carrier could come: 1 or more");
        self.slots = FairSlots::new(carriers, GIVES_WAY);
        self
    }

    /// Pings a peer that has been silent for this long, and gives the carrier up when it stays silent for as long
    /// again. 30 s by default; never with `None`.
    pub fn ping(mut self, after: Option<Duration>) -> Self {
        self.settings.ping = after;
        self
    }

    /// How much may be held, over all carriers, of what has come for streams that are not read: 512 MiB by default.
    /// With more, a carrier that holds more than its share is given up, with its streams.
    pub fn unread(mut self, bytes: usize) -> Self {
        self.settings.unread = Bound::new(bytes);
        self
    }

    /// Counts the carriers and streams there.
    pub fn watch(mut self, watch: MuxWatch) -> Self {
        self.settings.watch = watch;
        self
    }

    /// The endpoint that the carriers come from.
    pub fn get_ref(&self) -> &E {
        &self.endpoint
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
            let came = self.came.poll_recv(cx);
            let Some(comes) = &self.comes else {
                return came.map(|conn| conn.map(Ok));
            };
            if let Poll::Ready(Some(conn)) = came {
                return Poll::Ready(Some(Ok(conn)));
            }
            let comes = comes.clone();
            if !self.is_ready {
                // They are never closed.
                if self.slots.poll_reserve(cx).is_pending() {
                    return Poll::Pending;
                }
                self.is_ready = true;
            }
            match self.endpoint.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(carrier))) => {
                    self.is_ready = false;
                    let mut slot = self.slots.take();
                    if let Some(network) = carrier.info.stranger() {
                        slot.may_give_way(network);
                    }
                    let shaking = self.handshake.handshake(carrier).map_err(Into::into);
                    let carrying = carry(shaking, self.settings.clone(), comes, slot);
                    tokio::spawn(RelayName::current().scope(carrying));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.comes = None,
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

    fn accept_errors(&self) -> Option<AcceptErrors> {
        self.endpoint.accept_errors()
    }
}

impl<E: Endpoint + fmt::Debug, H> fmt::Debug for MuxListen<E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxListen")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A carrier, from its handshake to its end.
async fn carry<J: Io>(
    shaking: impl Future<Output = Result<Conn<J>, BoxError>>,
    settings: Settings,
    comes: UnboundedSender<Conn<MuxIo>>,
    slot: FairSlot,
) {
    let watch = settings.watch.clone();
    let mut place = Place {
        slot,
        is_used: Arc::default(),
    };
    let shaken = {
        let (shaking, closed) = (pin!(shaking), pin!(comes.closed()));
        let lost = pin!(place.lost());
        match select(select(shaking, closed), lost).await {
            Either::Left((Either::Left((shaken, _)), _)) => shaken,
            // The side takes no more.
            Either::Left((Either::Right(_), _)) => return,
            Either::Right(_) => {
                watch.refused();
                tracing::info!("a carrier gives way to one of another network");
                return;
            }
        }
    };
    let Conn { io, mut info } = match shaken {
        Ok(carrier) => carrier,
        Err(error) => {
            watch.refused();
            tracing::info!(error = %Chain(&*error), "a carrier is refused");
            return;
        }
    };
    // It has none, and an observer asks for one.
    let side = *info.side.get_or_insert(Side::A);
    let info = info;
    let mut counted = None;
    let notices = |notice| match notice {
        Notice::Begun => {
            tracing::info!(peer = %info.peer_name(), "a carrier is there");
            counted = Some(watch.carrier());
        }
        // A pool dials another in its place.
        Notice::Away => info.tell(ConnEvent::FirstByte(side)),
    };
    let is_used = Arc::clone(&place.is_used);
    // No stream is opened at this end. The carrier goes on until its peer ends it, or until the side takes no
    // more and the streams are over.
    let mut closed = pin!(comes.closed().fuse());
    let opens = |cx: &mut Context<'_>| closed.as_mut().poll(cx).map(|()| None);
    let came = |stream, alive| {
        is_used.store(true, Ordering::Relaxed);
        let io = MuxIo::new(stream, alive, None);
        begin(io, info.carries(Origin::Accepted), &comes);
    };
    let driving = drive(io, Mode::Server, &settings, opens, came, notices);
    let ended = {
        let (driving, lost) = (pin!(driving), pin!(place.lost()));
        match select(driving, lost).await {
            Either::Left((ended, _)) => Some(ended),
            Either::Right(_) => None,
        }
    };
    match ended {
        Some(ended) => ended.tell(&info, &watch),
        None => {
            watch.refused();
            tracing::info!(peer = %info.peer_name(), "a carrier gives way to one of another network");
        }
    }
    drop(counted);
}

/// Hands a stream on, once its peer has said that it is open: mostly at once.
fn begin(mut io: MuxIo, info: Info, comes: &UnboundedSender<Conn<MuxIo>>) {
    let comes = comes.clone();
    let mut opening = async move {
        // A side that takes no more: the stream is cut before it is open, so that its peer opens another
        // elsewhere.
        if !comes.is_closed()
            && let Ok(Ok(())) = timeout(PATIENCE, io.open()).await
        {
            let _ = comes.send(Conn { io, info });
        }
    }
    .boxed();
    if opening.as_mut().now_or_never().is_none() {
        tokio::spawn(RelayName::current().scope(opening));
    }
}

// ===== impl Place =====

impl Place {
    /// Ends when the carrier has to give way.
    async fn lost(&mut self) {
        poll_fn(|cx| {
            if self.is_used.load(Ordering::Relaxed) {
                self.slot.settle();
                return Poll::Pending;
            }
            self.slot.poll_gives_way(cx)
        })
        .await;
    }
}
