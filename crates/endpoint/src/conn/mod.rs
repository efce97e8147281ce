//! [`Conn`]: an io, and what is known of it.

mod close_reason;
mod extensions;
mod info;
mod observer;
mod refusal;

pub use self::{
    close_reason::CloseReason,
    extensions::Extensions,
    info::{ConnId, Info, Origin, PeerName, Side},
    observer::{ConnEvent, ConnObserver},
    refusal::Refusal,
};

use crate::io::{BoxIo, Io};

/// A connection: the io its bytes go through, and what is known of it.
#[derive(Debug)]
pub struct Conn<I> {
    /// What the bytes go through.
    pub io: I,
    /// What is known of the connection; layers add to it.
    pub info: Info,
}

// ===== impl Conn =====

impl<I> Conn<I> {
    /// A connection that is known by its origin alone; the rest of [`Info`] is set field by
    /// field.
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

    /// The same connection, its bytes going through something else: how a layer wraps an io.
    pub fn map_io<J>(self, wrap: impl FnOnce(I) -> J) -> Conn<J> {
        Conn {
            io: wrap(self.io),
            info: self.info,
        }
    }
}

impl<I: Io> Conn<I> {
    /// The same connection with the type of its io forgotten, so that it fits where another
    /// stack's connections go. One that is boxed already stays as it is.
    pub fn boxed(self) -> Conn<BoxIo> {
        self.map_io(crate::io::boxed)
    }
}
