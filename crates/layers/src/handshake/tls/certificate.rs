use std::{fmt, fs, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    self, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{TlsConfigError, default_provider};

/// A certificate with those that lead from it to a CA, and its private key: what we prove
/// ourselves with, as a server or as a client.
///
/// `Debug` shows no key.
#[derive(Clone)]
pub struct TlsCertificate {
    key: Arc<CertifiedKey>,
    names: Arc<[String]>,
}

// ===== impl TlsCertificate =====

impl TlsCertificate {
    /// From PEM: the certificate, then those of the intermediate CAs, and somewhere the private
    /// key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    ///
    /// When one of the two is missing or no good, or the key is not the certificate's.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        let pem = pem.as_ref();
        Self::from_der(chain(pem)?, key(pem)?)
    }

    /// From two PEMs: the certificates, and the private key.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_pems(
        certificates: impl AsRef<[u8]>,
        private_key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        Self::from_der(chain(certificates.as_ref())?, key(private_key.as_ref())?)
    }

    /// From PEM files: the certificates, and the private key, which without a file of its own is
    /// in the same. Blocks while it reads them.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), naming the file, or when one can't be read.
    pub fn from_files(
        certificates: impl AsRef<Path>,
        private_key: Option<&Path>,
    ) -> Result<Self, TlsConfigError> {
        let path = certificates.as_ref();
        let chain = in_file(path, chain)?;
        let key_path = private_key.unwrap_or(path);
        let key = in_file(key_path, key)?;
        Self::from_der(chain, key).map_err(|error| error.in_file(key_path))
    }

    /// From DER: the chain, the certificate itself first, and its private key.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        private_key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsConfigError> {
        let provider = default_provider();
        let key = provider.key_provider.load_private_key(private_key);
        let key = CertifiedKey::new(chain, key.map_err(TlsConfigError::UnknownKey)?);
        Self::from_key(Arc::new(key))
    }

    /// From what rustls makes of one: for a key that is in other hands than ours.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or the key is not the certificate's.
    pub fn from_key(key: Arc<CertifiedKey>) -> Result<Self, TlsConfigError> {
        use rustls::{Error, InconsistentKeys};
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(TlsConfigError::KeyMismatch),
            Err(Error::NoCertificatesPresented) => return Err(TlsConfigError::NoCertificate),
            Err(error) => return Err(TlsConfigError::BadCertificate(error)),
        }
        let names = key.cert.first().map(dns_names).unwrap_or_default().into();
        Ok(Self { key, names })
    }

    /// The DNS names it is for, in lower case.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl fmt::Debug for TlsCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsCertificate").field(&self.names).finish()
    }
}

// ===== impl TlsConfigError =====

impl TlsConfigError {
    fn in_file(self, path: &Path) -> Self {
        Self::File {
            path: path.to_owned(),
            source: Box::new(self),
        }
    }
}

// ===== trusted certificates =====

/// CAs to trust, from PEM.
///
/// # Errors
///
/// When there is no certificate in it, or one that can't be read.
pub fn roots_from_pem(pem: impl AsRef<[u8]>) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(pem.as_ref())? {
        let added = roots.add(certificate);
        added.map_err(TlsConfigError::BadCertificate)?;
    }
    Ok(roots)
}

/// CAs to trust, from a PEM file. Blocks while it reads it.
///
/// # Errors
///
/// As [`roots_from_pem`], naming the file, or when it can't be read.
pub fn roots_from_file(path: impl AsRef<Path>) -> Result<RootCertStore, TlsConfigError> {
    in_file(path.as_ref(), |pem| roots_from_pem(pem))
}

// ===== reading =====

fn in_file<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, TlsConfigError>,
) -> Result<T, TlsConfigError> {
    let pem = fs::read(path).map_err(|source| TlsConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&pem).map_err(|error| error.in_file(path))
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain.map_err(TlsConfigError::Pem)? {
        chain if chain.is_empty() => Err(TlsConfigError::NoCertificate),
        chain => Ok(chain),
    }
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
            match pem.windows(encrypted.len()).any(|text| text == encrypted) {
                true => Err(TlsConfigError::EncryptedKey),
                false => Err(TlsConfigError::NoKey),
            }
        }
        Err(error) => Err(TlsConfigError::Pem(error)),
    }
}

fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return Vec::new(); // rustls could read it, so this is rare: it serves as the default alone.
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
