use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The shortest secret, in bytes.
const MIN: usize = 16;

/// A secret that both ends share. `Debug` does not show it.
#[derive(Clone, derive_more::Debug)]
#[debug("NoisePsk(…)")]
pub struct NoisePsk([u8; 32]);

/// A secret is shorter than 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("secret is shorter than 16 bytes, and could be found by trying")]
pub struct ShortSecret;

// ===== impl NoisePsk =====

impl NoisePsk {
    /// Derives the key from a secret of at least 16 bytes: HKDF-Extract (RFC 5869) with SHA-256 and the
    /// salt `couplet noise psk 1`, so that no other use of the same secret has the same key.
    ///
    /// # Errors
    ///
    /// If the secret is shorter than 16 bytes.
    pub fn from_secret(secret: impl AsRef<[u8]>) -> Result<Self, ShortSecret> {
        let secret = secret.as_ref();
        if secret.len() < MIN {
            return Err(ShortSecret);
        }
        let extract = Hmac::<Sha256>::new_from_slice(b"couplet noise psk 1");
        let extract = extract.expect("a salt of any length will do");
        Ok(Self(
            extract.chain_update(secret).finalize().into_bytes().into(),
        ))
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
