use std::{str::FromStr, sync::Arc, time::SystemTime};

use couplet_layers::{KeyFileError, handshake::key_file::entries};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use super::{
    Claims, SignedClaims, SignedToken, SignedTokenRefused,
    text::{Parts, signed_part},
};

/// The shortest secret, in bytes: the holder of a token can try secrets on it.
const MIN_SECRET: usize = 16;

/// The longest name of a secret, in bytes.
const MAX_ID: usize = 32;

/// The secrets that sign tokens, each with a name. The first one signs, and tokens of all of them are
/// accepted, so that a secret can be renewed while its tokens are valid: put the new secret first
/// where tokens are checked *and* made, and remove the old secret once its tokens have expired.
///
/// A file has one a line, `name: secret`; blank lines and those that begin with `#` are skipped. `Debug`
/// does not show the secrets.
#[derive(Clone, derive_more::Debug)]
#[debug("Keyring(…)")]
pub struct Keyring(Arc<[Secret]>);

#[derive(Clone)]
struct Secret {
    id: Arc<str>,
    mac: Hmac<Sha256>,
}

/// A secret can't be used to sign tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The name is empty, longer than 32 bytes, or has other characters than letters, digits, `-` and
    /// `_`.
    #[error("invalid name of a secret: a name has 1 to 32 letters, digits, `-` and `_`")]
    Name,
    /// The secret is shorter than 16 bytes.
    #[error("secret is shorter than 16 bytes, and could be found by trying")]
    Short,
    /// Two secrets have the same name.
    #[error("name of a secret is there twice")]
    Twice,
}

// ===== impl Keyring =====

impl Keyring {
    /// Makes a keyring of one secret.
    ///
    /// # Errors
    ///
    /// If the secret is shorter than 16 bytes, or the name is invalid.
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, InvalidSecret> {
        Self([].into()).and(id, secret)
    }

    /// Appends a secret.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or if there is a secret of this name.
    pub fn and(self, id: &str, secret: impl AsRef<[u8]>) -> Result<Self, InvalidSecret> {
        let secret = secret.as_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(fits) {
            return Err(InvalidSecret::Name);
        }
        if secret.len() < MIN_SECRET {
            return Err(InvalidSecret::Short);
        }
        if self.find(id).is_some() {
            return Err(InvalidSecret::Twice);
        }
        let new = Secret {
            id: id.into(),
            mac: Hmac::new_from_slice(secret).expect("a key of any length will do"),
        };
        Ok(Self(self.0.iter().cloned().chain([new]).collect()))
    }

    /// Signs a token with the first secret.
    pub fn sign(&self, claims: &Claims) -> SignedToken {
        self.0[0].sign(claims)
    }

    /// Signs a token with the secret of this name; `None` if there is none.
    pub fn sign_with(&self, id: &str, claims: &Claims) -> Option<SignedToken> {
        Some(self.find(id)?.sign(claims))
    }

    /// Checks a token, and returns its content.
    ///
    /// # Errors
    ///
    /// If the text is not a token, none of the secrets has signed it, or it has expired.
    pub fn verify(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<SignedClaims, SignedTokenRefused> {
        let parts = Parts::split(token).ok_or(SignedTokenRefused::Malformed)?;
        let secret = self.find(parts.id).ok_or(SignedTokenRefused::UnknownKey)?;
        let mac = secret.mac.clone().chain_update(parts.signed);
        mac.verify_slice(&parts.mac)
            .map_err(|_| SignedTokenRefused::Forged)?;
        // From here on the content is the issuer's.
        let claims = parts.claims.map_err(|_| SignedTokenRefused::Malformed)?;
        if claims.expires() <= now {
            return Err(SignedTokenRefused::Expired);
        }
        Ok(SignedClaims::new(claims, Arc::clone(&secret.id)))
    }

    fn find(&self, id: &str) -> Option<&Secret> {
        self.0.iter().find(|secret| *secret.id == *id)
    }
}

impl FromStr for Keyring {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let mut keyring = Self([].into());
        for entry in entries(text) {
            let line = entry.text();
            let (id, secret) = line
                .split_once(':')
                .ok_or_else(|| entry.wrong(line, "no name, a line is `name: secret`"))?;
            let secret = secret.trim();
            keyring = keyring.and(id, secret).map_err(|wrong| match wrong {
                InvalidSecret::Short => entry.wrong(secret, wrong),
                InvalidSecret::Name | InvalidSecret::Twice => entry.wrong(id, wrong),
            })?;
        }
        match keyring.0.is_empty() {
            true => Err(KeyFileError::whole("no secret, a line is `name: secret`")),
            false => Ok(keyring),
        }
    }
}

// ===== impl Secret =====

impl Secret {
    fn sign(&self, claims: &Claims) -> SignedToken {
        let signed = signed_part(&self.id, claims);
        let mac = self.mac.clone().chain_update(&signed).finalize();
        SignedToken::new(signed, &mac.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<Keyring>().unwrap_err().to_string()
    }

    #[test]
    fn a_bad_line_is_pointed_at() {
        for (text, message) in [
            ("", "line 1, column 1: no secret"),
            ("# nothing\n\n", "line 1, column 1: no secret"),
            (
                "\n  secret",
                "line 2, column 3: no name, a line is `name: secret`",
            ),
            (
                "# a\nä b: 0123456789abcdef",
                "line 2, column 1: invalid name of a secret",
            ),
            (
                "a:   0123456789abcde",
                "line 1, column 6: secret is shorter",
            ),
            ("a:", "line 1, column 3: secret is shorter"),
            (
                "a: 0123456789abcdef\n\ta: fedcba9876543210",
                "line 2, column 2: name of a secret is there twice",
            ),
        ] {
            let wrong = wrong(text);
            assert!(wrong.starts_with(message), "{text:?}: {wrong}");
            assert!(!wrong.contains("0123"));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let keyring: Keyring = "a: 0123456789abcdef".parse().unwrap();
        assert!(!format!("{keyring:?}").contains("0123"));
    }
}
