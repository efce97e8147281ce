//! A connection that carries many: the task that drives it.

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::Io;
use futures::FutureExt;
use tokio::{sync::oneshot, time::timeout};
use yamux::{Config, Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

use super::{
    PATIENCE, PIECE, Settings,
    carried::{Carried, Signs},
    control::{self, Notice},
    ended::Ended,
    turns::{self, Turns},
    unread::{OfStream, Unread},
    watch::{CountedStream, MuxWatch},
};

/// Lives as long as a stream of the carrier does. The carrier is closed when none is left and none can come.
#[derive(Debug)]
pub(super) struct Alive {
    _stream: Arc<()>,
    _counted: CountedStream,
    unread: OfStream,
    turns: turns::OfStream,
}

/// Asks for a stream.
pub(super) type Open = oneshot::Sender<(Stream, Alive)>;

/// yamux ends a carrier with more streams than it is told of, with all of them. So it is told of more than
/// either end lets come: the one may not know yet that a stream is over for the other.
const SPARE: usize = 4;

/// The most streams at a time, and no window larger than yamux's first: this much may be held for a stream that
/// is not read.
fn config(streams: usize) -> Config {
    // And the carrier's own.
    let streams = streams.saturating_mul(SPARE).saturating_add(1);
    let mut config = Config::default();
    config.set_split_send_size(PIECE);
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
    let unread = Arc::new(Unread::new(settings.unread.clone()));
    let turns = Arc::<Turns>::default();
    let carried = Carried::new(
        io,
        Arc::clone(&signs),
        Arc::clone(&unread),
        Arc::clone(&turns),
    );
    let mut conn = Connection::new(carried, config(settings.streams), mode);
    let (give, own) = oneshot::channel();
    let mut give = Some(give);
    let (leave, leaves) = oneshot::channel();
    let mut leave = Some(leave);
    let leaves = leaves.map(drop);
    let mut attending = pin!(control::attend(own, settings.ping, &signs, leaves, notices));
    let streams = Streams::new(settings, &unread, &turns);
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
                            let alive = streams.one(&stream);
                            let _ = open.send((stream, alive));
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
                        let alive = streams.one(&stream);
                        came(stream, alive);
                    }
                    // One too many is cut.
                    None => drop(unread.of(stream.id().val())),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Ended::of(error)),
                Poll::Ready(None) => return Poll::Ready(Ended::Closed),
                // Woken by the drop of a stream.
                Poll::Pending => {
                    turns.give(cx);
                    // Otherwise yamux can't say yet that they are gone.
                    if !signs.is_full() {
                        unread.forget_dropped();
                    }
                    if !is_needed && streams.count() == 0 {
                        return Poll::Ready(Ended::Unneeded);
                    }
                    return Poll::Pending;
                }
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
struct Streams<'a> {
    one: Arc<()>,
    watch: &'a MuxWatch,
    unread: &'a Arc<Unread>,
    turns: &'a Arc<Turns>,
}

// ===== impl Alive =====

impl Alive {
    /// The data of a frame was read.
    pub(super) fn took(&self, len: usize) {
        self.unread.took(len);
    }

    /// Ready when so many bytes may be written.
    pub(super) fn poll_turn(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        self.turns.poll_turn(cx, bytes)
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.turns.wrote(bytes);
    }
}

// ===== impl Streams =====

impl<'a> Streams<'a> {
    fn new(settings: &'a Settings, unread: &'a Arc<Unread>, turns: &'a Arc<Turns>) -> Self {
        Self {
            one: Arc::default(),
            watch: &settings.watch,
            unread,
            turns,
        }
    }

    fn one(&self, stream: &Stream) -> Alive {
        Alive {
            _stream: Arc::clone(&self.one),
            _counted: self.watch.stream(),
            unread: self.unread.of(stream.id().val()),
            turns: self.turns.of(stream.id().val()),
        }
    }

    fn count(&self) -> usize {
        Arc::strong_count(&self.one) - 1
    }
}
