use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustls::{self, AlertDescription, CertificateError, InvalidMessage, pki_types::UnixTime};
use thiserror::Error;

use super::{KeyPin, PemError, connect::NotPinned};

/// A TLS connection failed. The text says what would be right, where that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer sends something that is not TLS.
    #[error("peer does not speak TLS")]
    NotTls,
    /// The peer closed the connection in the middle of the handshake.
    #[error("peer closed the connection during the TLS handshake")]
    Ended,
    /// The peer closed the connection without a `close_notify`: see [`Truncation`](super::Truncation).
    #[error(
        "stream cut: the peer closed the connection without a TLS close_notify \
         (`tls.close-notify=optional`, `Truncation::Tolerate`, is for peers that never send one)"
    )]
    Truncated,
    /// A client asks for a server name (SNI) that no certificate is for.
    #[error("certificate missing for the server name (SNI) {0:?} that the client asks for")]
    UnknownName(String),
    /// A client asks for no server name (SNI), and no certificate is for that.
    #[error("certificate missing for a client without a server name (SNI)")]
    NoName,
    /// A client that must show a certificate shows none.
    #[error("client certificate missing")]
    NoCertificate,
    /// No trusted CA has signed the peer's certificate.
    #[error(
        "certificate signed by an unknown CA: trust that CA or, for a server, pin the server's key"
    )]
    UnknownIssuer,
    /// A server's certificate is for other names.
    #[error(
        "certificate for the wrong name: for {}, not for {expected:?}; dial a name that it is for, \
         or set the name to check",
        names(presented)
    )]
    WrongName {
        /// The name that was dialled, or set.
        expected: String,
        /// The names that the certificate is for.
        presented: Vec<String>,
    },
    /// The peer's certificate has expired.
    #[error("certificate has expired{}: the peer needs a new one, or our clock is wrong", when(*.0))]
    Expired(
        /// When it expired.
        Option<SystemTime>,
    ),
    /// The peer's certificate is not valid yet.
    #[error("certificate is not valid yet{}: the peer's clock or ours is wrong", when(*.0))]
    NotYetValid(
        /// When it will be valid.
        Option<SystemTime>,
    ),
    /// A server's certificate is that of a CA.
    #[error(
        "certificate of a CA in place of a server's: have the CA sign one for the server, or pin \
         the server's key"
    )]
    CaAsServer,
    /// A server's key is not among those that are pinned.
    #[error("server key {0} is not pinned")]
    NotPinned(
        /// The server's key.
        KeyPin,
    ),
    /// The peer's certificate is invalid for another reason.
    #[error("invalid certificate")]
    Certificate(#[source] rustls::Error),
    /// Both ends have application protocols (ALPN), and none in common.
    #[error("application protocol (ALPN) not shared by the two ends")]
    NoCommonProtocol,
    /// The two ends have no TLS version, or no cipher suite, in common.
    #[error("TLS version or cipher suite not shared by the two ends: this end speaks 1.2 and 1.3")]
    Incompatible(#[source] rustls::Error),
    /// The server asks for a client certificate, and there is none to show.
    #[error("client certificate needed: the server asks for one")]
    CertificateWanted,
    /// The peer does not accept our certificate.
    #[error("own certificate refused: the peer sent the alert {0:?}")]
    CertificateRefused(
        /// The peer's alert.
        AlertDescription,
    ),
    /// The peer has ended the session with another alert (RFC 8446, section 6).
    #[error("peer refuses: TLS alert {0:?}")]
    Alert(
        /// The peer's alert.
        AlertDescription,
    ),
    /// No name is known to check the server's certificate by.
    #[error("server name missing: the dial has no name to check the certificate by, set one")]
    NoServerName,
    /// TLS failed in another way.
    #[error("TLS failed")]
    Failed(#[source] rustls::Error),
    /// The connection failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
}

/// A TLS setting can't be used. Nothing of a file's content is shown: it may be a private key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file can't be read.
    #[error("file {path:?} can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file's content can't be used.
    #[error("file {path:?} can't be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// A part of a PEM can't be understood.
    #[error("invalid PEM")]
    Pem(#[source] PemError),
    /// The file is DER.
    #[error(
        "DER in place of PEM, convert it with `openssl x509 -inform der` or `openssl pkey -inform der`"
    )]
    Der,
    /// There is no certificate.
    #[error("certificate missing, a PEM file has `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// There is no private key.
    #[error("private key missing, a PEM file has `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// The private key is encrypted.
    #[error("private key is encrypted, decrypt it with `openssl pkey`")]
    EncryptedKey,
    /// The private key is damaged, or of a kind that is not supported.
    #[error(
        "private key is not supported ({kind}), use RSA from 2048 bits, ECDSA on P-256 or P-384, or \
         Ed25519"
    )]
    UnknownKey {
        /// What it is, as far as that is known.
        kind: &'static str,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The private key belongs to another certificate.
    #[error("private key belongs to another certificate")]
    KeyMismatch,
    /// A certificate is of an old version.
    #[error("certificate is of version {0}, TLS needs version 3 (`openssl x509 -req -extfile …`)")]
    CertificateVersion(u32),
    /// A certificate can't be used.
    #[error("invalid certificate")]
    BadCertificate(#[source] rustls::Error),
    /// A text is not the pin of a key.
    #[error("invalid key pin: a pin is `sha256//` and 44 characters of base64")]
    Pin,
    /// No CA and no pinned key is trusted.
    #[error("trust anchor missing: trust a CA or pin a key")]
    NoTrust,
    /// An application protocol's name is empty, or longer than 255 bytes.
    #[error("invalid application protocol (ALPN) of {0} bytes, a name has 1 to 255")]
    Protocol(usize),
    /// rustls refuses the configuration.
    #[error("invalid TLS configuration")]
    Refused(#[source] rustls::Error),
}

// ===== impl TlsConfigError =====

impl TlsConfigError {
    /// The file that can't be read or used, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. } | Self::File { path, .. } => Some(path),
            _ => None,
        }
    }
}

// ===== impl TlsError =====

impl TlsError {
    /// The reason for which a handshake failed.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none_or(is_not_ours) {
            return Self::Ended;
        }
        match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Io(error),
        }
    }

    /// The error of a read: where TLS failed, one of these says how.
    pub(super) fn of_io(error: io::Error) -> io::Error {
        let kind = error.kind();
        match error.downcast::<rustls::Error>() {
            Ok(error) => io::Error::new(kind, Self::from(error)),
            Err(error) => error,
        }
    }
}

/// Is the error not that of a TLS connection that carries this one?
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

/// The last second of the year 9999: later years can't be formatted.
const LAST: u64 = 253_402_300_799;

fn time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST))
}

/// The names of a certificate, escaped: the peer has made them.
fn names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no name".to_owned();
    }
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| {
            // As rustls writes a DNS name.
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
