use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    sign::SingleCertAndKey,
};

use super::pinned::Pinned;
use crate::tls::{KeyPin, TlsCertificate, TlsConfigError, options::Options};

/// Builds the configuration of a [`TlsConnect`](super::TlsConnect): the servers that the client
/// trusts, and the certificate that it shows.
#[derive(Clone, Debug)]
pub struct TlsConnectConfig {
    trust: Trust,
    pins: Vec<KeyPin>,
    certificate: Option<TlsCertificate>,
    options: Options,
}

#[derive(Clone, Debug)]
enum Trust {
    Roots(RootCertStore),
    Verifier(Arc<dyn ServerCertVerifier>),
    /// The pins alone.
    Pins,
}

// ===== impl TlsConnectConfig =====

impl TlsConnectConfig {
    /// Trusts servers whose certificate one of these CAs has signed.
    pub const fn with_roots(roots: RootCertStore) -> Self {
        Self::new(Trust::Roots(roots), Vec::new())
    }

    /// Trusts the servers that a verifier trusts, such as `rustls-platform-verifier`, which asks the
    /// operating system.
    pub const fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self::new(Trust::Verifier(verifier), Vec::new())
    }

    /// Trusts servers with these keys, whatever their certificates say: the signer, the names and the
    /// time are not checked.
    pub fn with_pins(pins: impl IntoIterator<Item = KeyPin>) -> Self {
        Self::new(Trust::Pins, pins.into_iter().collect())
    }

    const fn new(trust: Trust, pins: Vec<KeyPin>) -> Self {
        Self {
            trust,
            pins,
            certificate: None,
            options: Options::new(),
        }
    }

    /// Trusts, of the trusted servers, only those with this key or another pinned one.
    #[must_use]
    pub fn pin(mut self, pin: KeyPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// Shows this certificate to a server that asks. By default the client shows none.
    #[must_use]
    pub fn certificate(mut self, certificate: TlsCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Offers these application protocols (ALPN), the best first. A server may choose none.
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
    /// If there is neither a CA nor a pin, or a protocol's name is empty or longer than 255 bytes.
    pub fn build(self) -> Result<Arc<ClientConfig>, TlsConfigError> {
        let (alpn, provider) = self.options.build()?;
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
            .dangerous() // rustls has no pins: `Pinned` checks them.
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let key = Arc::clone(certificate.certified_key());
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols = alpn;
        Ok(Arc::new(config))
    }
}
