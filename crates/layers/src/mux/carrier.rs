//! A connection that carries many: the task that drives it.

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{Chain, Info, Io};
use futures::FutureExt;
use thiserror::Error;
use tokio::{sync::oneshot, time::timeout};
use yamux::{Config, Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

use super::{
    PATIENCE, Settings,
    carried::{Carried, Signs},
    control::{self, Notice},
    watch::{CountedStream, MuxWatch},
};

/// Lives as long as a stream of the carrier does. The carrier is closed when none is left and none can come.
#[derive(Debug)]
pub(super) struct Alive {
    _stream: Arc<()>,
    _counted: CountedStream,
}

/// Asks for a stream.
pub(super) type Open = oneshot::Sender<(Stream, Alive)>;

/// How a carrier ended.
#[derive(Debug, Error)]
pub(super) enum Ended {
    /// This end has closed it.
    #[error("carrier not needed any more")]
    Unneeded,
    /// The other end has closed it.
    #[error("peer has closed it")]
    Closed,
    #[error("peer does not speak mux")]
    Foreign,
    #[error("peer is silent")]
    Silent,
    #[error("peer has gone")]
    Lost,
    #[error(transparent)]
    Failed(ConnectionError),
}

/// yamux ends a carrier with more streams than it is told of, with all of them. So it is told of more than
/// either end lets come: the one may not know yet that a stream is over for the other.
const SPARE: usize = 4;

/// The most streams at a time, and no window larger than yamux's first: this much may be held for a stream that
/// is not read.
fn config(streams: usize) -> Config {
    // And the carrier's own.
    let streams = streams.saturating_mul(SPARE).saturating_add(1);
    let mut config = Config::default();
    // Each of the two is checked against the other.
    config
        .set_max_connection_receive_window(None)
        .set_max_num_streams(streams)
        .set_max_connection_receive_window(Some(streams.saturating_mul(DEFAULT_CREDIT as usize)));
    config
}

/// Drives a carrier until it ends, or until it is no longer needed; then closes it.
///
/// `opens` yields the streams that are asked for at this end, and `None` once the carrier is needed only for
/// the streams that are there, which the peer is told. `came` gets the streams that the peer opens, as many as
/// the settings allow at a time.
pub(super) async fn drive(
    io: impl Io,
    mode: Mode,
    settings: &Settings,
    mut opens: impl FnMut(&mut Context<'_>) -> Poll<Option<Open>>,
    mut came: impl FnMut(Stream, Alive),
    notices: impl FnMut(Notice),
) -> Ended {
    let signs = Arc::<Signs>::default();
    let carried = Carried::new(io, Arc::clone(&signs));
    let mut conn = Connection::new(carried, config(settings.streams), mode);
    let (give, own) = oneshot::channel();
    let mut give = Some(give);
    let (leave, leaves) = oneshot::channel();
    let mut leave = Some(leave);
    let leaves = leaves.map(drop);
    let mut attending = pin!(control::attend(own, settings.ping, &signs, leaves, notices));
    let streams = Streams::new(settings);
    let (mut wanted, mut is_needed) = (None::<Open>, true);
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = attending.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        loop {
            if matches!(mode, Mode::Client) && give.is_some() {
                match conn.poll_new_outbound(cx) {
                    Poll::Ready(Ok(own)) => {
                        let _ = give.take().map(|give| give.send(own));
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Ended::of(error)),
                    Poll::Pending => {}
                }
            }
            if wanted.is_none() && is_needed {
                match opens(cx) {
                    Poll::Ready(Some(open)) => wanted = Some(open),
                    Poll::Ready(None) => {
                        is_needed = false;
                        let _ = leave.take().map(|leave| leave.send(()));
                    }
                    Poll::Pending => {}
                }
            }
            if wanted.is_some() {
                match conn.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => {
                        if let Some(open) = wanted.take() {
                            let _ = open.send((stream, streams.one()));
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Ended::of(error)),
                    Poll::Pending => {}
                }
            }
            match conn.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => match give.take() {
                    Some(give) => {
                        let _ = give.send(stream);
                    }
                    None if is_needed && streams.count() < settings.streams => {
                        came(stream, streams.one());
                    }
                    // One too many is cut.
                    None => {}
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Ended::of(error)),
                Poll::Ready(None) => return Poll::Ready(Ended::Closed),
                // Woken by the drop of a stream.
                Poll::Pending if !is_needed && streams.count() == 0 => {
                    return Poll::Ready(Ended::Unneeded);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    let ended = match ended {
        // A peer that closes a carrier says so (GoAway), and its streams have ended before.
        Ended::Closed if signs.has_ended() && streams.count() > 0 => Ended::Lost,
        // It was closed while this end had yet to say something that is not needed.
        Ended::Failed(ConnectionError::Io(error))
            if streams.count() == 0 && is_of_peer(error.kind()) =>
        {
            Ended::Closed
        }
        ended => ended,
    };
    match ended {
        // The peer's system takes what is left, or does not: no task waits for it.
        Ended::Unneeded => {
            let closed = timeout(PATIENCE, poll_fn(|cx| conn.poll_close(cx))).await;
            if closed.is_err() {
                signs.give_up();
            }
        }
        Ended::Closed => {}
        Ended::Foreign | Ended::Silent | Ended::Lost | Ended::Failed(_) => signs.give_up(),
    }
    ended
}

/// Has the peer closed the connection?
fn is_of_peer(error: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};

    matches!(error, BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// The streams of a carrier that are there.
struct Streams {
    one: Arc<()>,
    watch: MuxWatch,
}

// ===== impl Streams =====

impl Streams {
    fn new(settings: &Settings) -> Self {
        Self {
            one: Arc::default(),
            watch: settings.watch.clone(),
        }
    }

    fn one(&self) -> Alive {
        Alive {
            _stream: Arc::clone(&self.one),
            _counted: self.watch.stream(),
        }
    }

    fn count(&self) -> usize {
        Arc::strong_count(&self.one) - 1
    }
}

// ===== impl Ended =====

impl Ended {
    fn of(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Closed => Self::Closed,
            error => Self::Failed(error),
        }
    }

    /// Says in the log how it ended, and counts it.
    pub(super) fn tell(&self, info: &Info, watch: &MuxWatch) {
        let peer = info.peer_name();
        match self {
            Self::Unneeded | Self::Closed => {
                tracing::info!(%peer, reason = %self, "a carrier has ended");
            }
            Self::Foreign => {
                watch.refused();
                tracing::warn!(%peer, reason = %self, "a carrier is refused");
            }
            Self::Silent => {
                watch.silent();
                tracing::warn!(%peer, reason = %self, "a carrier is given up");
            }
            Self::Lost | Self::Failed(_) => {
                watch.failed();
                tracing::warn!(%peer, reason = %Chain(self), "a carrier is lost");
            }
        }
    }
}
