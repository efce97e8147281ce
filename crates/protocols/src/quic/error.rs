use std::{io, net::SocketAddr, time::Duration};

use couplet_endpoint::{BoxError, DialError};
use thiserror::Error;

/// A configuration of TLS can't be used for QUIC.
#[derive(Debug, Error)]
#[error(
    "cryptography provider without TLS_AES_128_GCM_SHA256, which every QUIC connection begins with"
)]
pub struct QuicConfigError {
    #[source]
    pub(super) source: quinn::crypto::rustls::NoInitialCipherSuite,
}

/// No stream was opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuicDialError {
    /// The name was not looked up, or no address may be dialled.
    #[error(transparent)]
    LookUp(#[from] DialError),
    /// No socket of UDP could be opened.
    #[error("UDP socket not opened")]
    Socket(#[source] io::Error),
    /// The configuration of TLS can't be used for QUIC.
    #[error(transparent)]
    Config(#[from] QuicConfigError),
    /// No address has answered well; the error is the last one.
    #[error("cannot dial {target} over QUIC, {addr} failed")]
    Carrier {
        /// The target of the dial.
        target: String,
        /// The address that failed last.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The deadline passed.
    #[error(
        "cannot dial {target} over QUIC, no answer within {after:?}: UDP may be blocked on the way"
    )]
    Timeout {
        /// The target of the dial.
        target: String,
        /// The deadline.
        after: Duration,
    },
    /// The peer takes no stream, over a new carrier either.
    #[error("cannot dial {target} over QUIC: the peer takes no stream")]
    NotOpened {
        /// The target of the dial.
        target: String,
        /// How the peer has closed the carrier, if it has.
        #[source]
        source: Option<quinn::ConnectionError>,
    },
}
