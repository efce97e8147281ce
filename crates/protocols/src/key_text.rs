//! Keys of 32 bytes as text: `ed25519:…`, so that one kind is not taken for another.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use thiserror::Error;

/// A text is not a key of the wanted kind.
///
/// The text is not shown: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid key: a key is `{0}:` and 43 characters of base64")]
pub struct InvalidKey(&'static str);

/// `kind:base64`.
pub(crate) fn write(kind: &str, key: &[u8; 32]) -> String {
    format!("{kind}:{}", BASE64.encode(key))
}

/// The opposite of [`write`].
pub(crate) fn read(kind: &'static str, text: &str) -> Result<[u8; 32], InvalidKey> {
    let read = || {
        let text = text.trim().strip_prefix(kind)?.strip_prefix(':')?;
        BASE64.decode(text).ok()?.try_into().ok()
    };
    read().ok_or(InvalidKey(kind))
}

/// The text has the form of a key, and its bytes are not one.
#[cfg(feature = "challenge")]
pub(crate) const fn invalid(kind: &'static str) -> InvalidKey {
    InvalidKey(kind)
}

/// 32 random bytes from the system.
pub(crate) fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
