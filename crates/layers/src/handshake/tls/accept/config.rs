use std::sync::Arc;

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier,
};

use super::names::Names;
use crate::handshake::tls::{TlsCertificate, TlsConfigError, check_alpn, default_provider};

/// What a server proves itself with, and whom it lets in: builds the configuration of a
/// [`TlsAccept`](super::TlsAccept).
#[derive(Clone, Debug)]
pub struct TlsAcceptConfig {
    certificates: Vec<TlsCertificate>,
    unknown_name: UnknownName,
    clients: Option<ClientCertificates>,
    alpn: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
}

/// What becomes of a client that asks for a name (SNI) for which there is no certificate, or for
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownName {
    /// It is shown the first certificate.
    #[default]
    Default,
    /// It is refused.
    Refuse,
}

/// Are clients to show a certificate, by one of which CAs? One by another, or that has expired, is
/// refused in either case.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// They may.
    Want(RootCertStore),
    /// They must.
    Require(RootCertStore),
}

// ===== impl TlsAcceptConfig =====

impl TlsAcceptConfig {
    /// With this certificate, which is also the default one.
    pub fn new(certificate: TlsCertificate) -> Self {
        Self {
            certificates: vec![certificate],
            unknown_name: UnknownName::Default,
            clients: None,
            alpn: Vec::new(),
            provider: None,
        }
    }

    /// Adds a certificate, for clients that ask for one of its names. A name that several are for
    /// has the first of them whose key the client knows to check (one may be RSA, one ECDSA).
    #[must_use]
    pub fn certificate(mut self, certificate: TlsCertificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// What becomes of who asks for a name that no certificate is for.
    #[must_use]
    pub const fn unknown_name(mut self, unknown_name: UnknownName) -> Self {
        self.unknown_name = unknown_name;
        self
    }

    /// Asks clients for a certificate. By default they are not.
    #[must_use]
    pub fn clients(mut self, clients: ClientCertificates) -> Self {
        self.clients = Some(clients);
        self
    }

    /// The application protocols (ALPN) to agree upon, the best first. A client that offers some,
    /// but none of these, is refused; one that offers none is let in.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Whose cryptography is used: [`default_provider`]'s by default.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// When there is no CA for the clients, a protocol's name is none, or rustls refuses it.
    pub fn build(self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        check_alpn(&self.alpn)?;
        let provider = self.provider.unwrap_or_else(default_provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Refused)?;
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let (roots, required) = match clients {
                    ClientCertificates::Want(roots) => (roots, false),
                    ClientCertificates::Require(roots) => (roots, true),
                };
                if roots.is_empty() {
                    return Err(TlsConfigError::NoTrust);
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(
                    verifier
                        .build()
                        .expect("there is a root, and no revocation list"),
                )
            }
        };
        let names = Names::new(&self.certificates, self.unknown_name);
        let mut config = builder.with_cert_resolver(Arc::new(names));
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config))
    }
}
