use std::{fs, path::Path, sync::Arc, time::SystemTime};

use rustls::{
    self, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    },
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, x509::X509Version};

use super::{
    PemError, TlsConfigError, default_provider,
    pem::{Block, Label, blocks},
    validity::{not_after, warn_unless_valid},
};

/// A certificate chain and its private key: what a server, or a client that is asked, proves its
/// identity with.
///
/// `Debug` shows the names and no key.
#[derive(Clone, derive_more::Debug)]
pub struct TlsCertificate {
    #[debug(skip)]
    key: Arc<CertifiedKey>,
    names: Arc<[String]>,
}

// ===== impl TlsCertificate =====

impl TlsCertificate {
    /// Reads PEM: the certificate, then those of the intermediate CAs, and anywhere the private key
    /// (PKCS#8, PKCS#1 or SEC1, not encrypted). A certificate that has expired is a warning in the
    /// log.
    ///
    /// # Errors
    ///
    /// If the certificate or the key is missing or can't be used, the key belongs to another
    /// certificate, or a part of the PEM can't be understood.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        let pem = pem.as_ref();
        Self::load(chain(pem)?, key(pem)?, None)
    }

    /// Reads the certificates and the private key from two PEM texts.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_pems(
        certificates: impl AsRef<[u8]>,
        private_key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        let chain = chain(certificates.as_ref())?;
        Self::load(chain, key(private_key.as_ref())?, None)
    }

    /// Reads PEM files: the certificates, and the private key, which is in the same file where none
    /// is given. Blocks while it reads them.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), or if a file can't be read. [`TlsConfigError::path`] tells
    /// which file is wrong.
    pub fn from_files(
        certificates: impl AsRef<Path>,
        private_key: Option<&Path>,
    ) -> Result<Self, TlsConfigError> {
        let path = certificates.as_ref();
        let chain = in_file(path, |pem| {
            let chain = chain(pem)?;
            chain.first().map_or(Ok(()), check_version)?;
            Ok(chain)
        })?;
        let key_path = private_key.unwrap_or(path);
        let key = in_file(key_path, key)?;
        Self::load(chain, key, Some(path)).map_err(|error| match error {
            TlsConfigError::BadCertificate(_) => error.in_file(path),
            error => error.in_file(key_path),
        })
    }

    /// Takes DER: the chain, the certificate itself first, and its private key.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        private_key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsConfigError> {
        Self::load(chain, private_key, None)
    }

    /// Takes rustls's own form, for a key that is held elsewhere, such as in a hardware module.
    ///
    /// # Errors
    ///
    /// If there is no certificate, or the key belongs to another.
    pub fn from_key(key: Arc<CertifiedKey>) -> Result<Self, TlsConfigError> {
        use rustls::{Error, InconsistentKeys};
        key.cert.first().map_or(Ok(()), check_version)?;
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(TlsConfigError::KeyMismatch),
            Err(Error::NoCertificatesPresented) => return Err(TlsConfigError::NoCertificate),
            Err(error) => return Err(TlsConfigError::BadCertificate(error)),
        }
        let names = key.cert.first().map(dns_names).unwrap_or_default().into();
        Ok(Self { key, names })
    }

    /// The DNS names that the certificate is for, in lower case.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the certificate expires: it is valid up to this second. Of the chain, it is the first.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.key.cert.first().and_then(not_after)
    }

    pub(super) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    fn load(
        chain: Vec<CertificateDer<'static>>,
        private_key: PrivateKeyDer<'static>,
        file: Option<&Path>,
    ) -> Result<Self, TlsConfigError> {
        let provider = default_provider();
        let kind = key_kind(private_key.secret_der());
        let key = provider.key_provider.load_private_key(private_key);
        let key = key.map_err(|source| TlsConfigError::UnknownKey {
            kind: kind.unwrap_or_else(|| kind_in(&source)),
            source,
        })?;
        let certificate = Self::from_key(Arc::new(CertifiedKey::new(chain, key)))?;
        warn_unless_valid(&certificate.key.cert, file);
        Ok(certificate)
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

impl From<PemError> for TlsConfigError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

// ===== trusted certificates =====

/// Reads CAs to trust from PEM. One that has expired is a warning in the log.
///
/// # Errors
///
/// If there is no certificate, one can't be used, or a part of the PEM can't be understood.
pub fn roots_from_pem(pem: impl AsRef<[u8]>) -> Result<RootCertStore, TlsConfigError> {
    roots(pem.as_ref(), None)
}

/// Reads CAs to trust from a PEM file. Blocks while it reads it.
///
/// # Errors
///
/// As [`roots_from_pem`], naming the file, or if it can't be read.
pub fn roots_from_file(path: impl AsRef<Path>) -> Result<RootCertStore, TlsConfigError> {
    let path = path.as_ref();
    in_file(path, |pem| roots(pem, Some(path)))
}

fn roots(pem: &[u8], file: Option<&Path>) -> Result<RootCertStore, TlsConfigError> {
    let certificates = chain(pem)?;
    warn_unless_valid(&certificates, file);
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(TlsConfigError::BadCertificate)?;
    }
    Ok(roots)
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

/// The certificates of a PEM, in their order. There may be a key beside them.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let mut chain = Vec::new();
    for block in known(pem)? {
        if block.label == Label::Certificate {
            chain.push(block.der.into());
        }
    }
    match chain.is_empty() {
        true => Err(nothing_in(pem, TlsConfigError::NoCertificate)),
        false => Ok(chain),
    }
}

/// The private key of a PEM. There may be certificates beside it.
fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let mut key = None;
    for block in known(pem)? {
        let line = block.line;
        let here: PrivateKeyDer<'_> = match block.label {
            Label::Key => PrivatePkcs8KeyDer::from(block.der).into(),
            Label::RsaKey => PrivatePkcs1KeyDer::from(block.der).into(),
            Label::EcKey => PrivateSec1KeyDer::from(block.der).into(),
            Label::EncryptedKey => return Err(TlsConfigError::EncryptedKey),
            _ => continue,
        };
        if key.replace(here).is_some() {
            return Err(PemError::second_key(line).into());
        }
    }
    key.ok_or_else(|| nothing_in(pem, TlsConfigError::NoKey))
}

/// The blocks, all of a kind that a certificate or a key comes with.
fn known(pem: &[u8]) -> Result<Vec<Block>, TlsConfigError> {
    let blocks = blocks(pem)?;
    let misplaced = |block: &&Block| matches!(block.label, Label::Other(_) | Label::Unknown);
    match blocks.iter().find(misplaced) {
        Some(block) => Err(block.misplaced().into()),
        None => Ok(blocks),
    }
}

/// Why nothing was found: a DER file begins with the tag of a sequence and a long length.
fn nothing_in(pem: &[u8], otherwise: TlsConfigError) -> TlsConfigError {
    match pem {
        [0x30, 0x81..=0x84, ..] => TlsConfigError::Der,
        _ => otherwise,
    }
}

/// Public keys and extensions are in certificates of version 3.
fn check_version(certificate: &CertificateDer<'_>) -> Result<(), TlsConfigError> {
    match parse_x509_certificate(certificate) {
        Ok((_, parsed)) if parsed.version() != X509Version::V3 => {
            Err(TlsConfigError::CertificateVersion(parsed.version().0 + 1))
        }
        _ => Ok(()), // What can't be parsed rustls refuses.
    }
}

/// What a private key of no supported kind is, by the object identifier of its algorithm or curve.
fn key_kind(der: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 7] = [
        (&[0x2b, 0x81, 0x04, 0x00, 0x23], "ECDSA on the curve P-521"),
        (
            &[0x2b, 0x81, 0x04, 0x00, 0x0a],
            "ECDSA on the curve secp256k1",
        ),
        (&[0x2b, 0x81, 0x04, 0x00, 0x21], "ECDSA on the curve P-224"),
        (
            &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01],
            "ECDSA on a Brainpool curve",
        ),
        (&[0x2b, 0x65, 0x71], "Ed448"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "DSA"),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a],
            "RSA-PSS",
        ),
    ];
    let is_in = |oid: &[u8]| {
        let tagged = [&[0x06, oid.len() as u8], oid].concat();
        der.windows(tagged.len()).any(|here| here == tagged)
    };
    let mut kinds = KINDS.iter();
    kinds.find_map(|(oid, kind)| is_in(oid).then_some(*kind))
}

fn kind_in(error: &rustls::Error) -> &'static str {
    match error.to_string() {
        text if text.contains("TooSmall") => "RSA of less than 2048 bits, too short",
        text if text.contains("TooLarge") => "RSA of too many bits",
        _ => "damaged, or of another kind",
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
