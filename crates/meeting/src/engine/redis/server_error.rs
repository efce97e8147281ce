use std::sync::Arc;

use thiserror::Error;

/// The error of a text that is not the address of a server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The text has another form.
    #[error("invalid address of a match-maker: {0}; write `redis://HOST:6379/0`")]
    Malformed(String),
    /// The sentinels are not told which master is meant.
    #[error(
        "address of a match-maker names no master: `redis+sentinel://HOST:26379,HOST:26379/MASTER`"
    )]
    NoMaster,
    /// The address asks for TLS, and the program was built without.
    #[error(
        "match-maker over TLS needs a program with the feature `redis-tls`; without TLS write `redis://HOST:6379/0`"
    )]
    BuiltWithoutTls,
    /// Files for TLS, and an address without.
    #[error("match-maker {0} is reached without TLS: write `rediss://HOST:6379/0`")]
    NotTls(Arc<str>),
    /// A file for TLS can't be used.
    #[error("TLS file of a match-maker can't be used: {0}")]
    TlsFile(String),
}
