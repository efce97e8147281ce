use std::sync::Arc;

use thiserror::Error;

/// The error of a text that is not the address of a server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The text has another form.
    #[error("address of a match-maker has another form: {0}; right would be `redis://HOST:6379/0`")]
    Malformed(String),
    /// The sentinels are not told which master is meant.
    #[error(
        "address of a match-maker names no master: `redis+sentinel://HOST:26379,HOST:26379/MASTER`"
    )]
    NoMaster,
    /// The address asks for TLS, and the program was built without.
    #[error("match-maker over TLS: this program is built without it; `redis://HOST:6379/0`")]
    BuiltWithoutTls,
    /// Files for TLS, and an address without.
    #[error("match-maker {0} is not spoken to by TLS: `rediss://HOST:6379/0`")]
    NotTls(Arc<str>),
    /// A file for TLS can't be used.
    #[error("file for the TLS of a match-maker can't be used: {0}")]
    TlsFile(String),
}
