use std::sync::Arc;

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    sign::SingleCertAndKey,
};

use super::pinned::Pinned;
use crate::handshake::tls::{KeyPin, TlsCertificate, TlsConfigError, check_alpn, default_provider};

/// Whom a client trusts, and what it proves itself with: builds the configuration of a
/// [`TlsConnect`](super::TlsConnect).
#[derive(Clone, Debug)]
pub struct TlsConnectConfig {
    trust: Trust,
    pins: Vec<KeyPin>,
    certificate: Option<TlsCertificate>,
    alpn: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
}

#[derive(Clone, Debug)]
enum Trust {
    Roots(RootCertStore),
    Verifier(Arc<dyn ServerCertVerifier>),
    /// The pins say it all.
    Pins,
}

// ===== impl TlsConnectConfig =====

impl TlsConnectConfig {
    /// Trusts servers with a certificate by one of these CAs.
    pub const fn with_roots(roots: RootCertStore) -> Self {
        Self::new(Trust::Roots(roots), Vec::new())
    }

    /// Trusts whom the verifier trusts, such as that of `rustls-platform-verifier`, which asks the
    /// operating system.
    pub const fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self::new(Trust::Verifier(verifier), Vec::new())
    }

    /// Trusts the owners of these keys, whoever signed their certificates, whatever name they are
    /// for and whenever they expire.
    pub fn with_pins(pins: impl IntoIterator<Item = KeyPin>) -> Self {
        Self::new(Trust::Pins, pins.into_iter().collect())
    }

    const fn new(trust: Trust, pins: Vec<KeyPin>) -> Self {
        Self {
            trust,
            pins,
            certificate: None,
            alpn: Vec::new(),
            provider: None,
        }
    }

    /// Of those who are trusted, trusts only the owner of this key, or of another that is pinned.
    #[must_use]
    pub fn pin(mut self, pin: KeyPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// What we prove ourselves with, to a server that asks. By default nothing.
    #[must_use]
    pub fn certificate(mut self, certificate: TlsCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// The application protocols (ALPN) to offer, the best first. A server may choose none.
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
    /// When nobody is trusted, a protocol's name is none, or rustls refuses it.
    pub fn build(self) -> Result<Arc<ClientConfig>, TlsConfigError> {
        check_alpn(&self.alpn)?;
        let provider = self.provider.unwrap_or_else(default_provider);
        let trusted: Option<Arc<dyn ServerCertVerifier>> = match self.trust {
            Trust::Roots(roots) if roots.is_empty() => return Err(TlsConfigError::NoTrust),
            Trust::Roots(roots) => {
                let roots = Arc::new(roots);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let verifier = verifier.build();
                Some(verifier.expect("there is a root, and no revocation list"))
            }
            Trust::Verifier(verifier) => Some(verifier),
            Trust::Pins => None,
        };
        let verifier = match (trusted, self.pins) {
            (Some(trusted), pins) if pins.is_empty() => trusted,
            (None, pins) if pins.is_empty() => return Err(TlsConfigError::NoTrust),
            (trusted, pins) => Arc::new(Pinned::new(pins, trusted, &provider)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Refused)?
            .dangerous() // A pin is not in rustls; what checks it is ours.
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let key = Arc::clone(certificate.certified_key());
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config))
    }
}
