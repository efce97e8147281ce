use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::{TlsConfigError, default_provider};

/// What the configurations of both ends have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) provider: Option<Arc<CryptoProvider>>,
}

// ===== impl Options =====

impl Options {
    pub(super) const fn new() -> Self {
        Self {
            alpn: Vec::new(),
            provider: None,
        }
    }

    /// The application protocols and the cryptography, checked.
    pub(super) fn build(self) -> Result<(Vec<Vec<u8>>, Arc<CryptoProvider>), TlsConfigError> {
        let mut lengths = self.alpn.iter().map(Vec::len);
        match lengths.find(|len| !(1..=255).contains(len)) {
            Some(len) => Err(TlsConfigError::Protocol(len)),
            None => Ok((self.alpn, self.provider.unwrap_or_else(default_provider))),
        }
    }
}
