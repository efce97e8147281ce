use couplet_endpoint::{Conn, Origin, PeerNetwork};
use couplet_pairing::Pair;

/// A request that a [`HandshakeLayer`](super::HandshakeLayer) takes: a [`Conn`], a [`Pair`], or a type of
/// your own.
pub trait HandshakeRequest {
    /// Where a peer that is a stranger comes from: slots are shared fairly by it.
    ///
    /// `None`, the default, for a peer that is no stranger or of which nothing is known: its handshake
    /// never gives way to a newcomer.
    fn stranger(&self) -> Option<PeerNetwork> {
        None
    }
}

/// The peer's address or user, if the peer has connected to us. A peer that we have dialled is no
/// stranger.
impl<I> HandshakeRequest for Conn<I> {
    fn stranger(&self) -> Option<PeerNetwork> {
        match self.info.origin {
            Origin::Accepted => Some(self.info.peer_network()).filter(PeerNetwork::is_known),
            _ => None,
        }
    }
}

impl<A, B> HandshakeRequest for Pair<A, B> {}
