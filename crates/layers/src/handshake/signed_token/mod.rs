//! The first line is a token that its issuer has signed, and that expires.
//!
//! Whoever holds a secret of the [`Keyring`] can make tokens; whoever is given one can use it, until
//! it expires, for what it says: a session's key, and the side it may come to. The relay keeps no
//! list of them. [`ExpectSignedToken`] is a [handshake](crate::handshake) of a side stack: it lets a
//! connection pass whose first line is a token that holds, and puts what the token says into the
//! connection's extensions as [`SignedClaims`], its key also as the [`Identity`](crate::Identity).
//! What comes behind the line is not lost. To send one, [`SendToken`](crate::SendToken) takes a
//! [`SignedToken`].
//!
//! A token is one line of at most 512 bytes,
//!
//! ```text
//! couplet1.main.a.1795430000.ZGVtbw.-z3VYQBRDjzB02DdDNEFOy4x4ROcPFyFTXzjQRBCbQU
//!    │      │   │      │       │      └ HMAC-SHA-256 (RFC 2104) of all before it
//!    │      │   │      │       └ the session's key
//!    │      │   │      └ when it expires: seconds since 1970
//!    │      │   └ the side: a, b, or any
//!    │      └ which of the secrets has signed it
//!    └ the version
//! ```
//!
//! its last two parts in base64 for URLs, without padding (RFC 4648). The signature is checked in
//! constant time, and before anything that the token says is believed. A peer that fails is told
//! nothing: its connection is closed.
//!
//! A token is asked for at the start of a connection only: one that is joined lives on when its
//! token expires. It can be used any number of times until then, and by whoever gets hold of it:
//! put TLS or Noise before it where others can listen. The clock is the system's.
//!
//! **Where:** on a side stack, as other handshakes. **Splice:** costs none.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use couplet_endpoint::Side;
//! use couplet_layers::{Claims, ExpectSignedToken, HandshakeLayer, Keyring, SendToken};
//!
//! // The second is on its way out: what it has signed still holds.
//! let keyring: Keyring = "
//!     2026-11: D6mHlkGrPqsdqS9FZUwMYpWKbSm3I3xL
//!     2026-10: 0uFVy7Tb2yd9ezqlmpAJYuB4xq2Wwi2g
//! "
//! .parse()?;
//!
//! let expires = SystemTime::now() + Duration::from_secs(3600);
//! let token = keyring.sign(&Claims::new("demo", expires)?.side(Side::A));
//!
//! let send = HandshakeLayer::new(SendToken::new(token.into()));
//! let expect = HandshakeLayer::new(ExpectSignedToken::new(keyring));
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```

mod claims;
mod expect;
mod keyring;
mod text;

pub use self::{
    claims::{Claims, InvalidClaims, SignedClaims},
    expect::{ExpectSignedToken, SignedTokenRefused},
    keyring::{InvalidSecret, Keyring},
    text::{NotASignedToken, SignedToken},
};
