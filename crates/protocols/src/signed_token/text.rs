use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use couplet_endpoint::Side;
use couplet_layers::Token;
use thiserror::Error;

use super::{Claims, InvalidClaims};

const VERSION: &str = "couplet1";

/// The longest token, in bytes: a key of 256 bytes and a name of 32 fit.
pub(super) const MAX_TOKEN: usize = 512;

/// A token as it is sent: a secret of one line. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("SignedToken(…)")]
pub struct SignedToken(String);

/// A text is not a signed token of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid signed token: a token begins with `couplet1.` and has six parts")]
pub struct NotASignedToken;

/// The parts of a token, which prove nothing before the signature is checked.
pub(super) struct Parts<'a> {
    pub(super) signed: &'a [u8],
    pub(super) id: &'a str,
    pub(super) claims: Result<Claims, InvalidClaims>,
    pub(super) mac: Vec<u8>,
}

// ===== impl SignedToken =====

impl SignedToken {
    pub(super) fn new(mut signed: String, mac: &[u8]) -> Self {
        signed.push('.');
        BASE64.encode_string(mac, &mut signed);
        Self(signed)
    }

    /// The line itself, for the holder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the form alone: the end that expects the token checks the signature.
impl FromStr for SignedToken {
    type Err = NotASignedToken;

    fn from_str(text: &str) -> Result<Self, NotASignedToken> {
        match Parts::split(text.as_bytes()) {
            Some(Parts { claims: Ok(_), .. }) => Ok(Self(text.to_owned())),
            _ => Err(NotASignedToken),
        }
    }
}

/// To be [sent](couplet_layers::SendToken).
impl From<SignedToken> for Token {
    fn from(token: SignedToken) -> Self {
        Self::new(token.0).expect("a signed token is one line, and not too long")
    }
}

// ===== the parts =====

/// The signed part, which begins with the version.
pub(super) fn signed_part(id: &str, claims: &Claims) -> String {
    let side = match claims.allowed_side() {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "any",
    };
    let expires = claims.expires_unix();
    let key = BASE64.encode(claims.key());
    format!("{VERSION}.{id}.{side}.{expires}.{key}")
}

impl<'a> Parts<'a> {
    pub(super) fn split(token: &'a [u8]) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let token = str::from_utf8(token).ok()?;
        let (signed, mac) = token.rsplit_once('.')?;
        let mut parts = signed.split('.');
        if parts.next()? != VERSION {
            return None;
        }
        let id = parts.next()?;
        let side = match parts.next()? {
            "a" => Some(Side::A),
            "b" => Some(Side::B),
            "any" => None,
            _ => return None,
        };
        let expires = parts.next()?.parse().ok()?;
        let key = BASE64.decode(parts.next()?).ok()?;
        let key = String::from_utf8(key).ok()?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            signed: signed.as_bytes(),
            id,
            claims: Claims::from_parts(key.into(), side, expires),
            mac: BASE64.decode(mac).ok()?,
        })
    }
}
