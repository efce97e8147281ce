use std::io;

use thiserror::Error;

use super::DialFailure;

/// A proxy gave no connection to the target.
///
/// `Display` escapes what the proxy said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The connection's `Info` names no target.
    #[error("target missing: the `Info` of the connection to a proxy needs one")]
    NoTarget,
    /// The target can't be named to a proxy.
    #[error(
        "target {0} has an interface of this machine: a proxy needs an address without one, or a name"
    )]
    Scoped(String),
    /// The connection to the proxy failed.
    #[error("connection to the proxy failed")]
    Io(#[from] io::Error),
    /// The proxy ended the connection before its answer was complete.
    #[error(
        "proxy closed the connection without an answer; ssh -D does so where it can't reach the target"
    )]
    Ended,
    /// The proxy sent something else than an answer.
    #[error("invalid answer of the proxy: {0}")]
    Invalid(String),
    /// The proxy wants a user and a password, and there are none.
    #[error("proxy asks for a user and a password")]
    LoginNeeded,
    /// The proxy takes none of the methods of authentication that we know.
    #[error("proxy accepts neither no authentication nor a user and a password")]
    NoMethod,
    /// The proxy knows the user not, or the password is another.
    #[error("proxy refuses the user or the password")]
    LoginRefused,
    /// The proxy did not connect.
    #[error("proxy answers: {}", said.escape_debug())]
    Refused {
        /// What that means.
        failure: DialFailure,
        /// The proxy's answer, in words.
        said: String,
    },
}

// ===== impl ProxyError =====

impl ProxyError {
    /// The reason for which the target was not reached, as far as the proxy reports it.
    pub const fn failure(&self) -> DialFailure {
        match self {
            Self::Refused { failure, .. } => *failure,
            _ => DialFailure::Other,
        }
    }
}
