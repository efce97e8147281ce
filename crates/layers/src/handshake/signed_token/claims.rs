use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use couplet_endpoint::Side;
use thiserror::Error;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;

/// The last second of the year 9999: later ones are mistakes.
const MAX_EXPIRES: u64 = 253_402_300_799;

/// What a token says: a session's key, the side its holder may come to, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    key: Arc<str>,
    side: Option<Side>,
    expires: u64,
}

/// What the token of a connection says: put into the extensions of
/// [`Info`](couplet_endpoint::Info) by [`ExpectSignedToken`](super::ExpectSignedToken).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedClaims {
    claims: Claims,
    key_id: Arc<str>,
}

/// This can't be said by a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidClaims {
    /// There is no key.
    #[error("the key is empty")]
    NoKey,
    /// The key is longer than 256 bytes.
    #[error("the key is longer than 256 bytes")]
    LongKey,
    /// The key has control characters in it.
    #[error("the key has control characters in it")]
    ControlKey,
    /// It expires before 1970 or after 9999.
    #[error("it expires before 1970 or after 9999")]
    Expires,
}

// ===== impl Claims =====

impl Claims {
    /// For this session, until then (in whole seconds), on either side.
    ///
    /// # Errors
    ///
    /// When the key is empty, longer than 256 bytes or has control characters in it; when the time
    /// can't be meant.
    pub fn new(key: impl Into<Arc<str>>, expires: SystemTime) -> Result<Self, InvalidClaims> {
        let expires = expires.duration_since(UNIX_EPOCH);
        let expires = expires.map_err(|_| InvalidClaims::Expires)?.as_secs();
        Self::from_parts(key.into(), None, expires)
    }

    /// On this side only.
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

    /// The session's key, in a rendezvous by key: 1 to 256 bytes without control characters.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The side its holder may come to; `None` for either.
    pub const fn allowed_side(&self) -> Option<Side> {
        self.side
    }

    /// When it ceases to hold.
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

    /// Which of the [`Keyring`](super::Keyring)'s secrets has signed it.
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
