use std::{fmt, io};

use crate::{
    address::{AddressError, ListenAddr, UnixAddr},
    error::BoxError,
};

/// A failed attempt to listen: the address, and the reason.
///
/// The source is the [`io::Error`], or the [`AddressError`] of a text that is not an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {at}{why}")]
pub struct BindError {
    at: String,
    why: &'static str,
    kind: io::ErrorKind,
    source: BoxError,
}

// ===== impl BindError =====

impl BindError {
    pub(crate) fn address(error: AddressError) -> Self {
        Self {
            at: format!("`{}`", error.shown_input()),
            why: "",
            kind: io::ErrorKind::InvalidInput,
            source: error.into(),
        }
    }

    pub(super) fn look_up(addr: &ListenAddr, error: io::Error) -> Self {
        Self::new(addr, ", name not found", error)
    }

    pub(super) fn bind(addr: &ListenAddr, error: io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => ", port already in use",
            io::ErrorKind::AddrNotAvailable => ", not an address of this machine",
            io::ErrorKind::PermissionDenied if (1..1024).contains(&addr.port()) => {
                ", ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)"
            }
            _ => "",
        };
        Self::new(addr, why, error)
    }

    /// Of a Unix socket.
    #[cfg(unix)]
    pub(crate) fn unix(addr: &UnixAddr, why: &'static str, error: io::Error) -> Self {
        Self::new(addr, why, error)
    }

    /// Of an endpoint of your own: where it was to listen, and the error.
    pub fn of(addr: &impl fmt::Display, error: io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => ", port already in use",
            io::ErrorKind::AddrNotAvailable => ", not an address of this machine",
            _ => "",
        };
        Self::new(addr, why, error)
    }

    fn new(addr: &impl fmt::Display, why: &'static str, error: io::Error) -> Self {
        Self {
            at: addr.to_string(),
            why,
            kind: error.kind(),
            source: error.into(),
        }
    }

    /// The kind of failure: `AddrInUse` where another socket has the port or the path, `InvalidInput`
    /// where the text was not an address.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}
