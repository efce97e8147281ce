#[cfg(feature = "access-list")]
use std::{io, path::PathBuf};

use couplet_endpoint::BoxError;
#[cfg(feature = "access-list")]
use ipnet::IpNet;
use thiserror::Error;

/// A connection may not come in. The source says why.
#[derive(Debug, Error)]
#[error("access refused")]
pub struct AccessRefused {
    source: BoxError,
}

/// Why an [`AccessList`](super::AccessList) refuses a connection.
#[cfg(feature = "access-list")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotListed {
    /// Its address is on the deny list.
    #[error("address on the deny list")]
    Denied,
    /// There is an allow list, and its address is not on it.
    #[error("address not on the allow list")]
    NotAllowed,
    /// There is an allow list, and it has no address.
    #[error("no address to look up in the allow list")]
    NoAddress,
}

/// What was written is no network.
#[cfg(feature = "access-list")]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidNetwork {
    /// It is something else.
    #[error(
        "`{0}` is not a network: that is `10.0.0.0/8`, `2001:db8::/32`, or one address without a \
         prefix length"
    )]
    Syntax(String),
    /// Its address is not the network's first: one or the other is a slip.
    #[error("`{text}` is an address within a network: write `{network}`, or `{host}` alone")]
    HostBits {
        /// What was written.
        text: String,
        /// The network that the address is in.
        network: IpNet,
        /// The address.
        host: std::net::IpAddr,
    },
    /// A second word follows it on its line.
    #[error("`{0}` is one too many: write one network a line, and `#` before a comment")]
    Surplus(String),
}

/// A file of networks can't be used.
#[cfg(feature = "access-list")]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworksError {
    /// It could not be read, or it is not UTF-8.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of its lines is wrong.
    #[error("{}, line {line}, column {column}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character of the line, from 1.
        column: usize,
        /// What is wrong.
        source: InvalidNetwork,
    },
}

// ===== impl AccessRefused =====

impl AccessRefused {
    pub(super) fn new(reason: impl Into<BoxError>) -> Self {
        Self {
            source: reason.into(),
        }
    }
}
