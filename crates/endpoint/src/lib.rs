//! Streams of connections.
//!
//! TODO front page
mod address;
mod conn;
mod error;
mod forward;
mod incoming;
pub mod io;
mod listen;
pub mod memory;
mod resolve;
mod socket;

pub use self::{
    address::{Address, AddressError, DialAddr, Host, HostName, ListenAddr},
    conn::{Conn, ConnId, Extensions, Info, Origin, PeerName, Side},
    error::{BoxError, find_cause, is_caused_by},
    incoming::Incoming,
    io::{BoxIo, Io, Opaque, Replay},
    listen::{BindError, Listen, ListenOptions},
    socket::{KeepAlive, SocketOptions},
};
