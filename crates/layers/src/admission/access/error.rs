#[cfg(feature = "access-list")]
use std::{io, path::PathBuf};

use couplet_endpoint::BoxError;
#[cfg(feature = "access-list")]
use ipnet::IpNet;
use thiserror::Error;

/// A connection was refused. The source is the rule's reason.
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
    /// The peer's address is on the deny list.
    #[error("address on the deny list")]
    Denied,
    /// There is an allow list, and the peer's address is not on it.
    #[error("address not on the allow list")]
    NotAllowed,
    /// The peer's user or group is on the deny list.
    #[error("user on the deny list")]
    UserDenied,
    /// There is an allow list, and neither the peer's user nor the group is on it.
    #[error("user not on the allow list")]
    UserNotAllowed,
    /// The address is of special purpose, and no network of special purpose is listed that it is in.
    #[error("address is private, of this machine, or of another special purpose, and not listed")]
    Special,
    /// There is an allow list, and the peer has no address.
    #[error("address unknown, and there is an allow list")]
    NoAddress,
}

/// A text is not a network.
#[cfg(feature = "access-list")]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidNetwork {
    /// The text has another form.
    #[error(
        "`{0}` is not a network: write `10.0.0.0/8`, `2001:db8::/32`, or one address without a \
         prefix length"
    )]
    Syntax(String),
    /// The address is not the network's first, so either the address or the prefix is a slip.
    #[error("`{text}` is an address within a network: write `{network}`, or `{host}` alone")]
    HostBits {
        /// The text.
        text: String,
        /// The network that the address is in.
        network: IpNet,
        /// The address.
        host: std::net::IpAddr,
    },
    /// A user or a group that is not written as its number.
    #[error("`{0}` is not a user's number: that is `uid:1000` or `gid:100`, as id(1) prints them")]
    User(String),
    /// A second word follows the network on its line.
    #[error(
        "`{0}` is the second network of its line: write one network a line, and `#` before a comment"
    )]
    Surplus(String),
}

/// A file of networks is unreadable or wrong.
#[cfg(feature = "access-list")]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworksError {
    /// The file can't be read, or is not UTF-8.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A line of the file is wrong.
    #[error("{}, line {line}, column {column}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character of the line, from 1.
        column: usize,
        /// The error of the line.
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
