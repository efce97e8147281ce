//! Writes a line to both peers of a pair when they are joined.
//!
//! [`AnnounceJoin`] is a [handshake](crate::handshake) of the pair stack: it writes the same text to
//! both peers, first to the one that has waited longer, before any byte of the partner's. It serves
//! protocols in which a client may wait long for a partner and must not send anything before.
//!
//! A peer that had ended its stream while it waited may receive only, or may have closed its
//! connection; only sending to it tells. So it is told first, and has half a second to answer by a
//! reset; the other then reads that the partner has left.
//!
//! A client of another node ([`Forwarded`]) is told by that node. If the client of this node had gone, the
//! other node's connection is reset.
//!
//! ```
//! use couplet_layers::{AnnounceJoin, HandshakeLayer};
//!
//! let layer = HandshakeLayer::new(AnnounceJoin::new("ok\n").partner_left("partner left\n"));
//! ```
//!
//! **Where:** at the top of the pair stack, below the layers that limit and count pairs. **Splice:**
//! kept.

use std::{io, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Io, Side, io::send_and_close};
use couplet_pairing::Pair;
use futures::{FutureExt, future::BoxFuture};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep},
};

use crate::handshake::{Forwarded, Handshake};

/// How long a peer has to read that the partner has left.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a peer that has ended its stream has to answer by a reset, if it has closed it: a round
/// trip, or the text is lost.
const RESET_TIMEOUT: Duration = Duration::from_millis(500);

/// How often a reset is looked for.
const RESET_POLL: Duration = Duration::from_millis(20);

/// Writes the same text to both connections of a pair. See the [module](self).
///
/// Has no deadline of its own: the [`HandshakeLayer`](crate::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct AnnounceJoin {
    words: Bytes,
    partner_left: Bytes,
}

/// A peer had gone at the join.
#[derive(Debug, Error)]
#[error("partner left: side {side} had gone at the join, the other side had waited for {waited:?}")]
pub struct PartnerLeft {
    side: Side,
    waited: Duration,
    source: io::Error,
}

/// A connection that has been told of a partner. An end of stream would pass for the partner's, so
/// until the join a drop resets the connection.
struct Told<I: Io>(Option<I>);

// ===== impl AnnounceJoin =====

impl AnnounceJoin {
    /// Writes this text.
    pub fn new(words: impl Into<Bytes>) -> Self {
        Self {
            words: words.into(),
            partner_left: Bytes::new(),
        }
    }

    /// Writes this text to a peer that has not been told of the partner when the partner turns out to
    /// have gone. By default nothing.
    #[must_use]
    pub fn partner_left(mut self, words: impl Into<Bytes>) -> Self {
        self.partner_left = words.into();
        self
    }

    async fn tell<A: Io, B: Io>(self, pair: Pair<A, B>) -> Result<Pair<A, B>, PartnerLeft> {
        let Pair { a, b, session } = pair;
        let since = |side| session.info(side).since;
        // One that may have gone is told first.
        let [a_first, b_first] = [Side::A, Side::B].map(|side| {
            let info = session.info(side);
            (!info.has_ended, info.since)
        });
        let [a_elsewhere, b_elsewhere] = [Side::A, Side::B].map(|side| {
            let forwarded: Option<&Forwarded> = session.info(side).extensions.get();
            forwarded.is_some()
        });
        let told = if b_elsewhere {
            let has_ended = session.info(Side::A).has_ended;
            self.tell_one((Side::A, a), has_ended, b).await
        } else if a_elsewhere {
            let has_ended = session.info(Side::B).has_ended;
            let told = self.tell_one((Side::B, b), has_ended, a);
            told.await.map(|(b, a)| (a, b))
        } else if a_first <= b_first {
            let has_ended = session.info(Side::A).has_ended;
            self.tell_in_turn((Side::A, a), has_ended, (Side::B, b))
                .await
        } else {
            let has_ended = session.info(Side::B).has_ended;
            let told = self.tell_in_turn((Side::B, b), has_ended, (Side::A, a));
            told.await.map(|(b, a)| (a, b))
        };
        let (a, b) = told.map_err(|(side, source)| PartnerLeft {
            side,
            waited: session.since().saturating_duration_since(since(!side)),
            source,
        })?;
        Ok(Pair { a, b, session })
    }

    /// Tells one alone. Returns both, or the side that had gone.
    async fn tell_one<F: Io, S: Io>(
        &self,
        (side, io): (Side, F),
        has_ended: bool,
        other: S,
    ) -> Result<(F, S), (Side, io::Error)> {
        // A text would be taken for the partner's bytes: the other node may have told its client.
        let other = Told(Some(other));
        let told = Told::tell_well(io, has_ended, &self.words).await;
        let told = told.map_err(|error| (side, error))?;
        Ok((told.joined(), other.joined()))
    }

    /// Returns both, or the side that had gone.
    async fn tell_in_turn<F: Io, S: Io>(
        &self,
        (first_side, first): (Side, F),
        first_has_ended: bool,
        (second_side, second): (Side, S),
    ) -> Result<(F, S), (Side, io::Error)> {
        let first = match Told::tell_well(first, first_has_ended, &self.words).await {
            Ok(first) => first,
            Err(error) => {
                send_and_close(second, &self.partner_left, REPLY_TIMEOUT).await;
                return Err((first_side, error));
            }
        };
        let second = Told::tell(second, &self.words).await;
        let second = second.map_err(|error| (second_side, error))?;
        Ok((first.joined(), second.joined()))
    }
}

// ===== impl Told =====

impl<I: Io> Told<I> {
    async fn tell(io: I, words: &[u8]) -> io::Result<Self> {
        // Guarded before the first byte: how much of the text arrives is unknown.
        let mut told = Self(Some(io));
        if let Some(io) = &mut told.0 {
            io.write_all(words).await?;
            io.flush().await?;
        }
        Ok(told)
    }

    /// Tells a peer that may have closed its connection, and waits for its answer then.
    async fn tell_well(io: I, has_ended: bool, words: &[u8]) -> io::Result<Self> {
        let mut told = Self::tell(io, words).await?;
        match has_ended {
            true => told.is_reset().await.map_or(Ok(told), Err),
            false => Ok(told),
        }
    }

    /// The error by which the peer answers, if it has closed its connection.
    async fn is_reset(&mut self) -> Option<io::Error> {
        let io = self.0.as_mut()?;
        let until = Instant::now() + RESET_TIMEOUT;
        loop {
            let error = io.take_error();
            if error.is_some() || Instant::now() >= until {
                return error;
            }
            sleep(RESET_POLL).await;
        }
    }

    fn joined(mut self) -> I {
        self.0.take().expect("the io is there until the join")
    }
}

impl<I: Io> Drop for Told<I> {
    fn drop(&mut self) {
        if let Some(io) = &mut self.0 {
            io.abort();
        }
    }
}

// ===== impl Handshake =====

impl<A: Io, B: Io> Handshake<Pair<A, B>> for AnnounceJoin {
    type Output = Pair<A, B>;
    type Error = PartnerLeft;
    type Future = BoxFuture<'static, Result<Pair<A, B>, PartnerLeft>>;

    fn handshake(&self, pair: Pair<A, B>) -> Self::Future {
        self.clone().tell(pair).boxed()
    }
}

// ===== impl PartnerLeft =====

impl PartnerLeft {
    /// The side that had gone.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// The time for which the other side had waited.
    pub const fn waited(&self) -> Duration {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Opaque, memory, memory::MemoryStream};
    use tokio::io::BufWriter;
    use tokio_test::{assert_pending, task};
    use tower::ServiceExt;
    use tower_layer::Layer;

    use super::*;
    use crate::{
        HandshakeLayer,
        testing::{assert_reset, conn, read_all, read_some},
    };

    const SIDES: [Side; 2] = [Side::A, Side::B];

    fn announce() -> AnnounceJoin {
        AnnounceJoin::new("ok\n").partner_left("partner left\n")
    }

    /// A pair of which that side has waited longer, and its peers.
    fn pair(older: Side) -> (Pair<MemoryStream, MemoryStream>, [MemoryStream; 2]) {
        let ((a, a_peer), (b, b_peer)) = (memory::connection(64), memory::connection(64));
        let (mut a, mut b) = (conn(a), conn(b));
        let older = match older {
            Side::A => &mut a.info,
            Side::B => &mut b.info,
        };
        older.since -= Duration::from_secs(3);
        (Pair::new(a, b), [a_peer, b_peer])
    }

    #[tokio::test]
    async fn both_clients_get_the_line_before_the_bytes_of_the_other() {
        let ((a, mut a_peer), (b, mut b_peer)) = (memory::connection(64), memory::connection(64));
        let buffered = |io| Opaque(BufWriter::new(io));
        a_peer.write_all(b"from a").await.unwrap();
        b_peer.write_all(b"from b").await.unwrap();
        let layer = HandshakeLayer::new(announce());
        let joined = layer.layer(tower::service_fn(async |pair| {
            Ok::<_, std::convert::Infallible>(pair)
        }));
        let pair = Pair::new(conn(buffered(a)), conn(buffered(b)));
        let mut pair: Pair<Opaque<BufWriter<MemoryStream>>, _> =
            joined.oneshot(pair).await.unwrap();
        assert_eq!(read_some(&mut a_peer, 3).await, b"ok\n");
        assert_eq!(read_some(&mut b_peer, 3).await, b"ok\n");
        assert_eq!(read_some(&mut pair.a, 6).await, b"from a");
        assert_eq!(read_some(&mut pair.b, 6).await, b"from b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_partner_left_while_waiting_gets_the_reason() {
        for older in SIDES {
            let (pair, [a, b]) = pair(older);
            let (left, mut stays) = match older {
                Side::A => (a, b),
                Side::B => (b, a),
            };
            drop(left);
            let telling = tokio::spawn(announce().tell(pair));
            let (heard, end) = read_all(&mut stays).await;
            assert_eq!(heard, b"partner left\n");
            end.unwrap();
            drop(stays);
            let error = telling.await.unwrap().unwrap_err();
            assert_eq!(error.side(), older);
            assert_eq!(error.waited(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_got_the_line_is_reset_when_its_partner_left() {
        for older in SIDES {
            let (pair, [a, b]) = pair(older);
            let (mut stays, left) = match older {
                Side::A => (a, b),
                Side::B => (b, a),
            };
            drop(left);
            let error = announce().tell(pair).await.unwrap_err();
            assert_eq!(error.side(), !older);
            assert_eq!(error.waited(), Duration::from_secs(3));
            let (heard, end) = read_all(&mut stays).await;
            assert_eq!(heard, b"ok\n");
            assert_reset(&end);
        }
    }

    /// A pair whose client of that side is another node's.
    fn forwarded(elsewhere: Side) -> (Pair<MemoryStream, MemoryStream>, [MemoryStream; 2]) {
        let ((a, a_peer), (b, b_peer)) = (memory::connection(64), memory::connection(64));
        let (mut a, mut b) = (conn(a), conn(b));
        let info = match elsewhere {
            Side::A => &mut a.info,
            Side::B => &mut b.info,
        };
        info.extensions.insert(Forwarded::new("other", None));
        (Pair::new(a, b), [a_peer, b_peer])
    }

    #[tokio::test]
    async fn a_client_of_another_node_is_told_by_that_node() {
        for elsewhere in SIDES {
            let (pair, [mut a, mut b]) = forwarded(elsewhere);
            drop(announce().tell(pair).await.unwrap());
            let (a, b) = (read_all(&mut a).await.0, read_all(&mut b).await.0);
            let (there, here) = match elsewhere {
                Side::A => (a, b),
                Side::B => (b, a),
            };
            assert_eq!((&*there, &*here), (&b""[..], &b"ok\n"[..]));
        }
    }

    #[tokio::test]
    async fn the_connection_of_another_node_is_reset_when_the_client_here_had_gone() {
        for elsewhere in SIDES {
            let (pair, [a, b]) = forwarded(elsewhere);
            let (mut there, here) = match elsewhere {
                Side::A => (a, b),
                Side::B => (b, a),
            };
            drop(here);
            let error = announce().tell(pair).await.unwrap_err();
            assert_eq!(error.side(), !elsewhere);
            let (heard, end) = read_all(&mut there).await;
            assert_eq!(heard, b"");
            assert_reset(&end);
        }
    }

    #[tokio::test]
    async fn a_client_that_got_the_line_is_reset_when_its_partner_takes_no_line_in_time() {
        let ((a, mut first), (b, mut second)) = (memory::connection(64), memory::connection(1));
        let pair = Pair::new(conn(a), conn(b));
        let mut telling = task::spawn(announce().tell(pair));
        assert_pending!(telling.poll());
        drop(telling);
        for (peer, words) in [(&mut first, "ok\n"), (&mut second, "o")] {
            let (heard, end) = read_all(peer).await;
            assert_eq!(heard, words.as_bytes());
            assert_reset(&end);
        }
    }
}
