use std::fmt;

use couplet_endpoint::Info;
use couplet_layers::Identity;
use rustls::{CipherSuite, CommonState, HandshakeKind, ProtocolVersion, pki_types::CertificateDer};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

use super::Fingerprint;

/// The outcome of a TLS handshake. [`TlsAccept`](super::TlsAccept) and
/// [`TlsConnect`](super::TlsConnect) put it into the extensions of [`Info`].
///
/// `Display` is one line, with the peer's texts escaped.
#[derive(Clone, Debug)]
pub struct TlsInfo {
    version: Option<ProtocolVersion>,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
    fingerprint: Option<Fingerprint>,
    cipher_suite: Option<CipherSuite>,
    common_name: Option<Box<str>>,
    is_resumed: bool,
}

// ===== impl TlsInfo =====

impl TlsInfo {
    pub(super) fn new(session: &CommonState, server_name: Option<&str>) -> Self {
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        Self {
            version: session.protocol_version(),
            alpn: session.alpn_protocol().map(Into::into),
            server_name: server_name.map(Into::into),
            fingerprint: leaf.map(Fingerprint::of),
            cipher_suite: session.negotiated_cipher_suite().map(|suite| suite.suite()),
            common_name: None,
            is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The same, with the common name of a client that has shown a certificate.
    pub(super) fn of_client(self, session: &CommonState) -> Self {
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        Self {
            common_name: leaf.and_then(common_name),
            ..self
        }
    }

    /// Of a carrier of QUIC, whose TLS is 1.3; quinn tells neither its suite nor whether it was resumed.
    #[cfg(feature = "quic")]
    pub(crate) fn of_quic(
        alpn: Option<&[u8]>,
        server_name: Option<&str>,
        leaf: Option<&CertificateDer<'_>>,
        is_client: bool,
    ) -> Self {
        Self {
            version: Some(ProtocolVersion::TLSv1_3),
            alpn: alpn.map(Into::into),
            server_name: server_name.map(Into::into),
            fingerprint: leaf.map(Fingerprint::of),
            cipher_suite: None,
            common_name: leaf.filter(|_| is_client).and_then(common_name),
            is_resumed: false,
        }
    }

    /// The protocol's version.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// The application protocol (ALPN) that both ends agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The server name (SNI) that the client asked for, which proves nothing. On a dialled connection
    /// the name or address that the server's certificate was checked by.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The SHA-256 of the peer's certificate, if the peer showed one.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// The cipher suite.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.cipher_suite
    }

    /// The common name (CN) of the certificate that a client has shown; `None` on a dialled connection.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Whether the session goes on from an earlier one (a ticket), in which the peer's certificate was shown.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }
}

impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(ProtocolVersion::TLSv1_2) => f.write_str("TLS 1.2")?,
            Some(ProtocolVersion::TLSv1_3) => f.write_str("TLS 1.3")?,
            _ => f.write_str("TLS")?,
        }
        if let Some(name) = self.server_name() {
            write!(f, ", name {}", name.escape_debug())?;
        }
        if let Some(alpn) = self.alpn() {
            write!(f, ", ALPN {}", alpn.escape_ascii())?;
        }
        if let Some(fingerprint) = self.fingerprint {
            write!(f, ", certificate {fingerprint}")?;
        }
        Ok(())
    }
}

// ===== identity =====

/// Adds the identity of a client that has shown a certificate.
pub(super) fn add_identity(info: &mut Info, session: &CommonState) {
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    if let Some(leaf) = leaf {
        put_identity(info, leaf);
    }
}

/// The same of a certificate.
pub(crate) fn put_identity(info: &mut Info, leaf: &CertificateDer<'_>) {
    if let Some(identity) = identity(leaf) {
        identity.put_into(info);
    }
}

/// The owner of a certificate: of the alternative names the first URI, or else the first DNS name, or
/// else the first e-mail address, or else the common name.
fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let name = alternative_name(&certificate).or_else(|| {
        let mut names = certificate.subject().iter_common_name();
        names.next()?.as_str().ok()
    })?;
    (!name.is_empty()).then(|| Identity::new(name))
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<Box<str>> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok().map(Into::into)
}

fn alternative_name<'a>(certificate: &X509Certificate<'a>) -> Option<&'a str> {
    let names = certificate.subject_alternative_name().ok()??.value;
    let names = &names.general_names;
    let uri = names.iter().find_map(|name| match *name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    });
    let dns = || {
        names.iter().find_map(|name| match *name {
            GeneralName::DNSName(dns) => Some(dns),
            _ => None,
        })
    };
    let email = || {
        names.iter().find_map(|name| match *name {
            GeneralName::RFC822Name(email) => Some(email),
            _ => None,
        })
    };
    uri.or_else(dns).or_else(email)
}
