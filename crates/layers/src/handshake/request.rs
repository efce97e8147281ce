use std::net::IpAddr;

use couplet_endpoint::{Conn, Origin};
use couplet_pairing::Pair;

/// A request that a [`HandshakeLayer`](super::HandshakeLayer) takes: a [`Conn`], a [`Pair`], or a type of
/// your own.
pub trait HandshakeRequest {
    /// The address of a peer that is a stranger: slots are shared fairly by it.
    ///
    /// `None`, the default, for a peer that is no stranger or has no address: its handshake never gives
    /// way to a newcomer.
    fn stranger(&self) -> Option<IpAddr> {
        None
    }
}

/// The peer's address, if the peer has connected to us. A peer that we have dialled is no stranger.
impl<I> HandshakeRequest for Conn<I> {
    fn stranger(&self) -> Option<IpAddr> {
        match self.info.origin {
            Origin::Accepted => Some(self.info.peer?.ip()),
            _ => None,
        }
    }
}

impl<A, B> HandshakeRequest for Pair<A, B> {}
