use std::{io, str::FromStr};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::key_text::{self, InvalidKey};

const PRIVATE: &str = "ed25519-private";
const PUBLIC: &str = "ed25519";

/// A private key that answers challenges: `ed25519-private:…`, in base64 for URLs.
///
/// `Debug` does not show it, and its memory is wiped on drop.
#[derive(Clone, derive_more::Debug)]
#[debug("Ed25519Key(…)")]
pub struct Ed25519Key(SigningKey);

/// The public half of a key: `ed25519:…`, in base64 for URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, derive_more::Display)]
#[display("{}", key_text::write(PUBLIC, _0))]
pub struct Ed25519PublicKey([u8; 32]);

// ===== impl Ed25519Key =====

impl Ed25519Key {
    /// Makes a new key from the system's source of randomness.
    ///
    /// # Errors
    ///
    /// If the system has none.
    pub fn generate() -> io::Result<Self> {
        Ok(Self(SigningKey::from_bytes(&key_text::random()?)))
    }

    /// The public half.
    pub fn public(&self) -> Ed25519PublicKey {
        Ed25519PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The key as text, for a file that only its owner can read.
    pub fn to_secret_text(&self) -> String {
        key_text::write(PRIVATE, self.0.as_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl FromStr for Ed25519Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        key_text::read(PRIVATE, text).map(|key| Self(SigningKey::from_bytes(&key)))
    }
}

// ===== impl Ed25519PublicKey =====

impl Ed25519PublicKey {
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        let key = VerifyingKey::from_bytes(&self.0);
        key.is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// A key of small order is refused: a signature for it needs no private key.
impl FromStr for Ed25519PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = key_text::read(PUBLIC, text)?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            _ => Err(key_text::invalid(PUBLIC)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Verifier;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let byte = |at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap();
        std::array::from_fn(byte)
    }

    /// A part of small order is no part of a signature, though it would add up: case 2 of
    /// <https://github.com/novifinancial/ed25519-speccheck>.
    #[test]
    fn signatures_are_checked_strictly() {
        let message: [u8; 32] =
            bytes("aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab");
        let key = bytes("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43");
        let signature = bytes(
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa\
             8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        );
        let adds_up = VerifyingKey::from_bytes(&key).unwrap();
        let adds_up = adds_up.verify(&message, &Signature::from_bytes(&signature));
        adds_up.unwrap();
        assert!(!Ed25519PublicKey(key).has_signed(&message, &signature));
    }
}
