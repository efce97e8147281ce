use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    self,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256};

use super::TlsConfigError;

/// The beginning of a pin, as in curl's `--pinnedpubkey`.
const SHA256: &str = "sha256//";

/// The hash of a public key: SHA-256 over the certificate's `SubjectPublicKeyInfo` (RFC 7469,
/// section 2.4). A certificate that is renewed with the same key keeps its pin.
///
/// The text form is that of curl's `--pinnedpubkey`, `sha256//` and the hash in base64:
///
/// ```sh
/// openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der |
///     openssl dgst -sha256 -binary | base64
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, derive_more::Debug, derive_more::Display)]
#[display("{SHA256}{}", BASE64_STANDARD.encode(_0))]
#[debug("KeyPin({self})")]
pub struct KeyPin([u8; 32]);

/// The hash of a certificate: SHA-256 over its DER. Shown as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, derive_more::Debug)]
#[debug("Fingerprint({self})")]
pub struct Fingerprint([u8; 32]);

// ===== impl KeyPin =====

impl KeyPin {
    /// Makes a pin of a hash.
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// Hashes a certificate's key.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::BadCertificate`] if the certificate can't be parsed.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, TlsConfigError> {
        Self::of_certificate(certificate).map_err(TlsConfigError::BadCertificate)
    }

    pub(super) fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        Ok(Self::of_key(&certificate.subject_public_key_info()))
    }

    fn of_key(key: &SubjectPublicKeyInfoDer<'_>) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl FromStr for KeyPin {
    type Err = TlsConfigError;

    fn from_str(text: &str) -> Result<Self, TlsConfigError> {
        let hash = text
            .strip_prefix(SHA256)
            .and_then(|base64| BASE64_STANDARD.decode(base64).ok())
            .and_then(|hash| hash.try_into().ok());
        hash.map(Self).ok_or(TlsConfigError::Pin)
    }
}

// ===== impl Fingerprint =====

impl Fingerprint {
    /// Hashes a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_written_as_it_is_read() {
        let text = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let pin: KeyPin = text.parse().unwrap();
        assert_eq!(pin.to_string(), text);
        assert_eq!(pin, KeyPin(Sha256::digest(b"").into()));
        for wrong in [
            "",
            "sha256//",
            "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            let error = wrong.parse::<KeyPin>().unwrap_err();
            assert!(error.to_string().contains("sha256//"), "{error}");
        }
    }
}
