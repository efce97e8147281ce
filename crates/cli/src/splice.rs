//! What a layer does to the bytes, and so whether they can be spliced: asked of the io that the layer
//! hands on.

use std::any::TypeId;

use couplet_connector::endpoint::{BoxIo, Io, Replay};

/// What a layer does to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bytes {
    /// Nothing: they may be spliced.
    Untouched,
    /// Some are read ahead; once these are delivered, the others may be spliced.
    ReadAhead,
    /// They go through the layer, so they are copied.
    Copied,
}

/// What a handshake of a boxed connection does that hands on this io: to the bytes read from the peer, and
/// to those written to it. The handshake needs a peer, so its type answers.
pub(crate) fn of_io<I: Io>() -> [Bytes; 2] {
    match TypeId::of::<I>() {
        io if io == TypeId::of::<BoxIo>() => [Bytes::Untouched; 2],
        io if io == TypeId::of::<Replay<BoxIo>>() => [Bytes::ReadAhead, Bytes::Untouched],
        _ => [Bytes::Copied; 2],
    }
}

#[cfg(unix)]
pub(crate) use self::asked::of_pair;
#[cfg(all(unix, feature = "compress"))]
pub(crate) use self::asked::of_side;

/// Layers are put on sockets, and the result is asked.
#[cfg(unix)]
mod asked {
    use std::{
        future::ready,
        io,
        sync::{Arc, OnceLock},
    };

    use couplet_connector::{
        BoxPair, Conn, Pair, PairLayers,
        endpoint::{BoxError, BoxIo, Io, Origin},
        relay::Summary,
    };
    use futures::FutureExt;
    use tokio::{net::UnixStream, runtime::Builder};
    use tower::{Layer, ServiceExt, service_fn};

    use super::Bytes;

    #[cfg(feature = "compress")]
    /// What the layers of a side do to the bytes read from the peer, and to those written to it.
    pub(crate) fn of_side(layers: &couplet_connector::SideLayers) -> [Bytes; 2] {
        answer(|answer| {
            let innermost = service_fn(move |conn: Conn<BoxIo>| {
                let _ = answer.set([can_leave(&conn.io), can_enter(&conn.io)]);
                ready(Ok::<_, BoxError>(()))
            });
            let (conn, _peer) = conn()?;
            let _ = layers.layer(innermost).oneshot(conn).now_or_never();
            Ok(())
        })
    }

    /// What the layers of a pair do to the bytes from A to B, and from B to A.
    pub(crate) fn of_pair(layers: &PairLayers) -> [Bytes; 2] {
        answer(|answer| {
            let innermost = service_fn(move |BoxPair { a, b, .. }: BoxPair| {
                let both = [
                    can_leave(&a) && can_enter(&b),
                    can_leave(&b) && can_enter(&a),
                ];
                let _ = answer.set(both);
                ready(Err::<Summary, BoxError>("asked".into()))
            });
            let ((a, _peer_a), (b, _peer_b)) = (conn()?, conn()?);
            let pair = Pair::new(a, b);
            let _ = layers.layer(innermost).oneshot(pair).now_or_never();
            Ok(())
        })
    }

    type Answer = Arc<OnceLock<[bool; 2]>>;

    /// Asks within a runtime, which sockets and timers need.
    fn answer(ask: impl FnOnce(Answer) -> io::Result<()>) -> [Bytes; 2] {
        let answer = Answer::default();
        if let Ok(runtime) = Builder::new_current_thread().enable_all().build() {
            let entered = runtime.enter();
            let _ = ask(Arc::clone(&answer));
            drop(entered);
            runtime.shutdown_background();
        }
        let spliced = answer.get().copied().unwrap_or_default();
        spliced.map(|spliced| match spliced {
            true => Bytes::Untouched,
            false => Bytes::Copied,
        })
    }

    fn conn() -> io::Result<(Conn<BoxIo>, UnixStream)> {
        let (io, peer) = UnixStream::pair()?;
        Ok((Conn::new(io, Origin::Accepted).boxed(), peer))
    }

    fn can_leave(io: &BoxIo) -> bool {
        io.splice_source().is_some()
    }

    fn can_enter(io: &BoxIo) -> bool {
        io.splice_sink().is_some()
    }
}

#[cfg(all(not(unix), feature = "compress"))]
pub(crate) fn of_side(_: &couplet_connector::SideLayers) -> [Bytes; 2] {
    [Bytes::Copied; 2]
}

#[cfg(not(unix))]
pub(crate) fn of_pair(_: &couplet_connector::PairLayers) -> [Bytes; 2] {
    [Bytes::Copied; 2]
}
