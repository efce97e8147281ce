use std::{io, str::FromStr};

use snow::{
    params::DHChoice,
    resolvers::{CryptoResolver, DefaultResolver},
};

use crate::key_text::{self, InvalidKey};

const PRIVATE: &str = "noise-private";
const PUBLIC: &str = "noise";

/// A private key of one end: `noise-private:…`, in base64 for URLs. An X25519 key (RFC 7748).
///
/// `Debug` does not show it.
#[derive(Clone, derive_more::Debug)]
#[debug("NoiseKey(…)")]
pub struct NoiseKey([u8; 32]);

/// The public half of a key: `noise:…`, in base64 for URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, derive_more::Display)]
#[display("{}", key_text::write(PUBLIC, _0))]
pub struct NoisePublicKey([u8; 32]);

// ===== impl NoiseKey =====

impl NoiseKey {
    /// Makes a new key from the system's source of randomness.
    ///
    /// # Errors
    ///
    /// If the system has none.
    pub fn generate() -> io::Result<Self> {
        key_text::random().map(Self)
    }

    /// The public half.
    pub fn public(&self) -> NoisePublicKey {
        let dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519);
        let mut dh = dh.expect("snow is built with this curve");
        dh.set(&self.0);
        let public = dh.pubkey().try_into();
        NoisePublicKey(public.expect("a public key has 32 bytes"))
    }

    /// The key as text, for a file that only its owner can read.
    pub fn to_secret_text(&self) -> String {
        key_text::write(PRIVATE, &self.0)
    }

    #[cfg(test)]
    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for NoiseKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        key_text::read(PRIVATE, text).map(Self)
    }
}

// ===== impl NoisePublicKey =====

impl NoisePublicKey {
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for NoisePublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        key_text::read(PUBLIC, text).map(Self)
    }
}
