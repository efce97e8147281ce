use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use couplet_endpoint::Side;
use thiserror::Error;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;

/// The last second of the year 9999: a later time is a mistake.
const MAX_EXPIRES: u64 = 253_402_300_799;

/// The content of a token: a session's key, the side that the holder may come to, and the expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    key: Arc<str>,
    side: Option<Side>,
    expires: u64,
}

/// The content of a connection's token. [`ExpectSignedToken`](super::ExpectSignedToken) puts it into the
/// extensions of [`Info`](couplet_endpoint::Info).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedClaims {
    claims: Claims,
    key_id: Arc<str>,
}

/// A token can't have this content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidClaims {
    /// The key is empty.
    #[error("key is empty")]
    NoKey,
    /// The key is longer than 256 bytes.
    #[error("key is longer than 256 bytes")]
    LongKey,
    /// The key has control characters in it.
    #[error("key has control characters in it")]
    ControlKey,
    /// The expiry is before 1970 or after 9999.
    #[error("expiry is before 1970 or after 9999")]
    Expires,
}

// ===== impl Claims =====

impl Claims {
    /// Allows this session, on either side, until this time (in whole seconds).
    ///
    /// # Errors
    ///
    /// If the key is empty, longer than 256 bytes or has control characters in it, or the time is before
    /// 1970 or after 9999.
    pub fn new(key: impl Into<Arc<str>>, expires: SystemTime) -> Result<Self, InvalidClaims> {
        let expires = expires.duration_since(UNIX_EPOCH);
        let expires = expires.map_err(|_| InvalidClaims::Expires)?.as_secs();
        Self::from_parts(key.into(), None, expires)
    }

    /// Allows this side alone.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = Some(side);
        self
    }

    pub(super) fn from_parts(
        key: Arc<str>,
        side: Option<Side>,
        expires: u64,
    ) -> Result<Self, InvalidClaims> {
        if key.is_empty() {
            Err(InvalidClaims::NoKey)
        } else if key.len() > MAX_KEY {
            Err(InvalidClaims::LongKey)
        } else if key.chars().any(char::is_control) {
            Err(InvalidClaims::ControlKey)
        } else if expires > MAX_EXPIRES {
            Err(InvalidClaims::Expires)
        } else {
            Ok(Self { key, side, expires })
        }
    }

    /// The session's key: 1 to 256 bytes without control characters.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The side that the holder may come to; `None` for either.
    pub const fn allowed_side(&self) -> Option<Side> {
        self.side
    }

    /// The time at which the token expires.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.expires)
    }

    pub(super) const fn expires_unix(&self) -> u64 {
        self.expires
    }

    pub(super) fn shared_key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }
}

// ===== impl SignedClaims =====

impl SignedClaims {
    pub(super) const fn new(claims: Claims, key_id: Arc<str>) -> Self {
        Self { claims, key_id }
    }

    /// The name of the [`Keyring`](super::Keyring)'s secret that has signed the token.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

impl Deref for SignedClaims {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}
