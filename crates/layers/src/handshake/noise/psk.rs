use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The shortest secret, in bytes.
const MIN: usize = 16;

/// A secret that both ends share. It is not shown by `Debug`.
#[derive(Clone)]
pub struct NoisePsk([u8; 32]);

/// A secret is shorter than 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the secret is shorter than 16 bytes, so that it could be found by trying")]
pub struct ShortSecret;

// ===== impl NoisePsk =====

impl NoisePsk {
    /// Makes the key of a secret of any length from 16 bytes: HKDF-Extract (RFC 5869) with SHA-256
    /// and the salt `couplet noise psk 1`, so that it is another key than any that is made of the
    /// same secret for something else.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than 16 bytes.
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

impl fmt::Debug for NoisePsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoisePsk(…)")
    }
}
