use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring::Ticketer},
    server::WebPkiClientVerifier,
};

use super::names::Names;
use crate::tls::{TlsCertificate, TlsConfigError, options::Options};

/// Builds the configuration of a [`TlsAccept`](super::TlsAccept): the certificates that the server
/// shows, and those that clients must show.
#[derive(Clone, Debug)]
pub struct TlsAcceptConfig {
    certificates: Vec<TlsCertificate>,
    unknown_name: UnknownName,
    clients: Option<ClientCertificates>,
    options: Options,
}

/// The answer to a client whose server name (SNI) no certificate is for, or that sends none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownName {
    /// The first certificate.
    #[default]
    Default,
    /// A refusal.
    Refuse,
}

/// Whether clients must show a certificate that one of these CAs has signed. An expired certificate, or one by
/// another CA, is refused in either case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Clients may show one.
    Want(RootCertStore),
    /// Clients must show one.
    Require(RootCertStore),
}

// ===== impl TlsAcceptConfig =====

impl TlsAcceptConfig {
    /// Starts with this certificate, which is also the default one.
    pub fn new(certificate: TlsCertificate) -> Self {
        Self {
            certificates: vec![certificate],
            unknown_name: UnknownName::Default,
            clients: None,
            options: Options::new(),
        }
    }

    /// Adds a certificate for clients that ask for one of its names. Of several for the same name, a
    /// client is shown the first whose kind of key (RSA, ECDSA) the client supports.
    #[must_use]
    pub fn certificate(mut self, certificate: TlsCertificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Answers clients whose server name (SNI) no certificate is for. [`UnknownName::Default`] by
    /// default.
    #[must_use]
    pub const fn unknown_name(mut self, unknown_name: UnknownName) -> Self {
        self.unknown_name = unknown_name;
        self
    }

    /// Asks clients for a certificate. By default the server does not.
    #[must_use]
    pub fn clients(mut self, clients: ClientCertificates) -> Self {
        self.clients = Some(clients);
        self
    }

    /// Agrees on one of these application protocols (ALPN), the best first. A client that offers only
    /// others is refused; a client that offers none is accepted.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.options.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Uses another cryptography than [`default_provider`](super::super::default_provider)'s.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.options.provider = Some(provider);
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// If client certificates are asked for and there is no CA, or a protocol's name is empty or
    /// longer than 255 bytes.
    pub fn build(self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let is_ring = self.options.provider.is_none();
        let (alpn, provider) = self.options.build()?;
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
        config.alpn_protocols = alpn;
        if is_ring {
            config.ignore_client_order = true;
            // Clients keep their sessions, any number of them, sealed with a key that changes every six hours.
            config.ticketer = Ticketer::new().map_err(TlsConfigError::Refused)?;
        }
        Ok(Arc::new(config))
    }
}
