use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redis::{ClientTlsConfig, RedisResult, TlsCertificates};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// The files for TLS to a match-maker, in PEM. They are read again for each connection, so that a renewed
/// certificate is shown by the next.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    ca: Option<PathBuf>,
    certificate: Option<[PathBuf; 2]>,
}

// ===== impl RedisTls =====

impl RedisTls {
    /// Trusts the system's CAs, and shows no certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the CAs of this file instead of the system's.
    #[must_use]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// Shows this certificate, with its private key.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some([certificate.into(), key.into()]);
        self
    }

    pub(super) fn read(&self) -> RedisResult<TlsCertificates> {
        // The redis crate takes the provider of the process, and panics where there is none and could be two.
        if CryptoProvider::get_default().is_none() {
            // Another thread may have been first.
            let _ = ring::default_provider().install_default();
        }
        let client_tls = match &self.certificate {
            Some([certificate, key]) => Some(ClientTlsConfig {
                client_cert: read(certificate)?,
                client_key: read(key)?,
            }),
            None => None,
        };
        Ok(TlsCertificates {
            client_tls,
            root_cert: self.ca.as_deref().map(read).transpose()?,
        })
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let read = fs::read(file);
    let read =
        read.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    // A file without one would be taken for an empty list.
    match read.windows(11).any(|bytes| bytes == b"-----BEGIN ") {
        true => Ok(read),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} has no PEM block in it", file.display()),
        )),
    }
}
