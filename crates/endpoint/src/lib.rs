//! Streams of connections.
//!
//! TODO front page
mod conn;
mod error;
mod forward;
mod incoming;
pub mod io;
pub mod memory;

pub use self::{
    conn::{Conn, ConnId, Extensions, Info, Origin, PeerName, Side},
    error::{BoxError, find_cause, is_caused_by},
    incoming::Incoming,
    io::{BoxIo, Io, Opaque, Replay},
};
