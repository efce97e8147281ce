//! [`Conn`]: an io and its [`Info`].

mod close_reason;
mod extensions;
mod info;
mod observer;
mod peer_network;
mod pooled;
mod privacy;
mod program;
mod refusal;
mod unix_peer;
mod vsock_peer;

pub use self::{
    close_reason::CloseReason,
    extensions::Extensions,
    info::{ConnId, Info, Origin, PeerName, Side},
    observer::{ConnEvent, ConnObserver},
    peer_network::PeerNetwork,
    pooled::Pooled,
    privacy::{shorten_client_addresses, shown_client, shown_client_ip},
    program::{Exit, Program},
    refusal::Refusal,
    unix_peer::UnixPeer,
    vsock_peer::VsockPeer,
};

use crate::io::{BoxIo, Io};

/// A connection: the io that its bytes go through, and its [`Info`].
#[derive(Debug)]
pub struct Conn<I> {
    /// What the bytes go through.
    pub io: I,
    /// Everything known about the connection; layers add to it.
    pub info: Info,
}

// ===== impl Conn =====

impl<I> Conn<I> {
    /// A connection of which only the origin is known; set the rest of [`Info`] field by field.
    pub fn new(io: I, origin: Origin) -> Self {
        Self {
            io,
            info: Info::new(origin),
        }
    }

    /// The same connection on the given side of a relay.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        self.info.side = Some(side);
        self
    }

    /// The same connection with its io wrapped in another: how a layer wraps an io.
    pub fn map_io<J>(self, wrap: impl FnOnce(I) -> J) -> Conn<J> {
        Conn {
            io: wrap(self.io),
            info: self.info,
        }
    }
}

impl<I: Io> Conn<I> {
    /// The same connection with its io boxed, so that connections of different stacks have one type.
    /// A boxed io is not boxed again.
    pub fn boxed(self) -> Conn<BoxIo> {
        self.map_io(crate::io::boxed)
    }
}
