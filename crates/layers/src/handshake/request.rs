use std::task::{Context, Poll};

use couplet_endpoint::{Conn, ConnEvent, Gone, Io, PeerNetwork};
use couplet_pairing::Pair;

/// A request that a [`HandshakeLayer`](super::HandshakeLayer) takes, and hands on: a [`Conn`], a [`Pair`], or a type of
/// your own.
pub trait HandshakeRequest {
    /// Where a peer that is a stranger comes from: slots are shared fairly by it.
    ///
    /// `None`, the default, for a peer that is no stranger or of which nothing is known: its handshake
    /// never gives way to a newcomer.
    fn stranger(&self) -> Option<PeerNetwork> {
        None
    }

    /// Ready once the peer has left, while the request waits for the inner service. Also asked each
    /// second. By default never.
    fn poll_departed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Pending
    }
}

/// The peer's address or user, if the peer has connected to us. A peer that we have dialled is no
/// stranger.
///
/// A peer has left when it has reset the connection, or has ended its stream without having sent a byte
/// to its partner or to the relay ([`Info::has_spoken`](couplet_endpoint::Info::has_spoken)).
impl<I: Io> HandshakeRequest for Conn<I> {
    fn stranger(&self) -> Option<PeerNetwork> {
        self.info.stranger()
    }

    fn poll_departed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let has_left = match self.io.poll_gone(cx) {
            Poll::Pending => false,
            Poll::Ready(Gone::Failed) => true,
            Poll::Ready(Gone::Ended) => !self.info.has_spoken || self.io.take_error().is_some(),
        };
        match has_left {
            true => {
                self.info.tell(ConnEvent::Gone);
                Poll::Ready(())
            }
            false => Poll::Pending,
        }
    }
}

impl<A, B> HandshakeRequest for Pair<A, B> {}
