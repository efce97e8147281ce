use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use thiserror::Error;
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, InvalidMessage, pki_types::UnixTime,
};

use super::{KeyPin, connect::NotPinned};

/// Why a peer and we do not speak TLS with each other. Its text says what would be right, where
/// that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// What the peer sends is not TLS.
    #[error("what it sends is not TLS")]
    NotTls,
    /// It ended the connection in the middle of the handshake.
    #[error("it closed the connection during the TLS handshake")]
    Ended,
    /// It ended the connection without a `close_notify`.
    #[error("its stream was cut: it ended without a TLS close_notify")]
    Truncated,
    /// A client asks for a name for which there is no certificate.
    #[error("there is no certificate for the name it asks for, {0:?}")]
    UnknownName(String),
    /// A client asks for no name, and there is no certificate for that.
    #[error("it asks for no name, and there is no certificate for that")]
    NoName,
    /// A client shows no certificate and must.
    #[error("it shows no certificate, and must")]
    NoCertificate,
    /// A peer's certificate is by nobody whom we trust.
    #[error(
        "its certificate is by nobody who is trusted here: trust its CA, or (a server) pin its key"
    )]
    UnknownIssuer,
    /// A server's certificate is for other names.
    #[error(
        "its certificate is for {}, not for {expected:?}: dial a name that it is for, or say which",
        names(presented)
    )]
    WrongName {
        /// The name it was to be for.
        expected: String,
        /// What it is for.
        presented: Vec<String>,
    },
    /// A peer's certificate has expired.
    #[error("its certificate has expired{}: it needs a new one, or our clock is wrong", when(*.0))]
    Expired(
        /// When.
        Option<SystemTime>,
    ),
    /// A peer's certificate is not valid yet.
    #[error("its certificate is not valid yet{}: its clock or ours is wrong", when(*.0))]
    NotYetValid(
        /// When it will be.
        Option<SystemTime>,
    ),
    /// A server's certificate is that of a CA.
    #[error(
        "its certificate is a CA's own: have the CA sign one for it, or (a server) pin its key"
    )]
    CaAsServer,
    /// A server's key is not among those that are pinned.
    #[error("its key is {0}, which is not pinned")]
    NotPinned(
        /// The key it has.
        KeyPin,
    ),
    /// A peer's certificate is not accepted for another reason.
    #[error("its certificate is not accepted")]
    Certificate(#[source] rustls::Error),
    /// No application protocol (ALPN) is known to both.
    #[error("it knows none of our application protocols (ALPN)")]
    NoCommonProtocol,
    /// No version, or no cipher suite of it, is known to both.
    #[error("it knows no TLS version and cipher suite that we do: 1.2 and 1.3 are known here")]
    Incompatible(#[source] rustls::Error),
    /// The peer wants to see a certificate of ours.
    #[error("it wants to see a client certificate")]
    CertificateWanted,
    /// The peer does not accept our certificate.
    #[error("it does not accept our certificate, says its alert {0:?}")]
    CertificateRefused(
        /// How it puts it.
        AlertDescription,
    ),
    /// The peer has ended the session with another alert (RFC 8446, section 6).
    #[error("it refuses, says its alert {0:?}")]
    Alert(
        /// How it puts it.
        AlertDescription,
    ),
    /// It is not known by what name the server's certificate is to be checked.
    #[error("it was not dialled by a name, and none is set to check its certificate by")]
    NoServerName,
    /// TLS failed in another way.
    #[error("TLS failed")]
    Failed(#[source] rustls::Error),
    /// The connection failed.
    #[error("its connection failed")]
    Io(#[source] io::Error),
}

/// A TLS setting can't be honoured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file can't be read.
    #[error("{path:?} can't be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in a file is of no use.
    #[error("{path:?} is of no use")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// It is not PEM.
    #[error("it is not proper PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// There is no private key in it.
    #[error("there is no private key in it (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// Its private key is encrypted.
    #[error("its private key is encrypted: decrypt it with `openssl pkey`")]
    EncryptedKey,
    /// Its private key is of no known kind.
    #[error("its private key is of no kind that is known here: RSA, ECDSA and Ed25519 are")]
    UnknownKey(#[source] rustls::Error),
    /// The private key is not the certificate's.
    #[error("the private key is not the certificate's")]
    KeyMismatch,
    /// A certificate can't be read.
    #[error("a certificate can't be read")]
    BadCertificate(#[source] rustls::Error),
    /// A text is no key's pin.
    #[error("{0:?} is not the pin of a key: `sha256//`, then 44 characters of base64")]
    Pin(String),
    /// Nobody is trusted: there are no roots, or no pins.
    #[error("nobody is trusted: it needs a CA, or the pin of a key")]
    NoTrust,
    /// An application protocol's name is empty, or longer than 255 bytes.
    #[error("{0:?} is no application protocol (ALPN): it has 1 to 255 bytes")]
    Protocol(String),
    /// rustls refuses it.
    #[error("TLS can't be set up so")]
    Refused(#[source] rustls::Error),
}

// ===== impl TlsError =====

impl TlsError {
    /// What a handshake ended with.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none_or(is_not_ours) {
            return Self::Ended;
        }
        match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Io(error),
        }
    }

    /// The error of a read: where it is of TLS, it says what, by one of these.
    pub(super) fn of_io(error: io::Error) -> io::Error {
        let kind = error.kind();
        match error.downcast::<rustls::Error>() {
            Ok(error) => io::Error::new(kind, Self::from(error)),
            Err(error) => error,
        }
    }
}

/// Not that of a TLS connection within this one's handshake.
fn is_not_ours(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !error.is::<TlsError>()
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            E::NoCertificatesPresented => Self::NoCertificate,
            E::NoApplicationProtocol => Self::NoCommonProtocol,
            E::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::NoCommonProtocol,
            E::AlertReceived(AlertDescription::CertificateRequired) => Self::CertificateWanted,
            E::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA),
            ) => Self::CertificateRefused(alert),
            E::AlertReceived(alert) => Self::Alert(alert),
            E::PeerIncompatible(_) => Self::Incompatible(error),
            E::InvalidCertificate(error) => of_certificate(error),
            error => Self::Failed(error),
        }
    }
}

fn of_certificate(error: CertificateError) -> TlsError {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => TlsError::UnknownIssuer,
        E::Expired => TlsError::Expired(None),
        E::ExpiredContext { not_after, .. } => TlsError::Expired(Some(time(not_after))),
        E::NotValidYet => TlsError::NotYetValid(None),
        E::NotValidYetContext { not_before, .. } => TlsError::NotYetValid(Some(time(not_before))),
        E::NotValidForNameContext {
            expected,
            presented,
        } => TlsError::WrongName {
            expected: expected.to_str().into_owned(),
            presented,
        },
        E::Other(ref other) => match other.0.downcast_ref() {
            Some(NotPinned(pin)) => TlsError::NotPinned(*pin),
            None if other.0.to_string() == "CaUsedAsEndEntity" => TlsError::CaAsServer,
            None => TlsError::Certificate(error.into()),
        },
        error => TlsError::Certificate(error.into()),
    }
}

/// The last second that has four digits for the year: what is shown has no more.
const LAST: u64 = 253_402_300_799;

fn time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST))
}

/// The names of a certificate, which the peer has made: nothing of them reaches a terminal raw.
fn names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| {
            // As rustls puts it.
            let bare = name.strip_prefix("DnsName(\"");
            let bare = bare.and_then(|name| name.strip_suffix("\")"));
            bare.unwrap_or(name).escape_debug().to_string()
        })
        .collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    shown.join(", ") + more
}

fn when(time: Option<SystemTime>) -> impl fmt::Display {
    time.map(|time| format!(" ({})", humantime::format_rfc3339_seconds(time)))
        .unwrap_or_default()
}
