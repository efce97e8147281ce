//! A signed token that expires as the first line of a connection.
//!
//! The issuer, which has a secret of the [`Keyring`], makes tokens for holders. A token is valid until it
//! expires, for a session's key and the side that the holder may come to. The relay keeps no list of
//! tokens. [`ExpectSignedToken`] is a [handshake](couplet_layers::handshake) of a side stack: it accepts
//! connections whose first line is a valid token, and puts the token's content into the connection's
//! extensions as [`SignedClaims`], the key also as the [`Identity`](couplet_layers::Identity). Bytes behind the
//! line are kept. [`SendToken`](couplet_layers::SendToken) sends a [`SignedToken`].
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
//! with the last two parts in base64 for URLs, without padding (RFC 4648). The signature is checked in
//! constant time, and before anything else of the token is believed. A peer that fails is told nothing:
//! the connection is closed.
//!
//! A token is checked at the start of a connection: a joined connection lives on when the token expires.
//! Until then a token can be used any number of times, and by any client that gets hold of it: put TLS or
//! Noise above this layer. The clock is the system's.
//!
//! **Where:** on a side stack, below TLS or Noise. **Splice:** kept, once the bytes behind the line have
//! been read. **Memory:** at most 514 bytes while the line is read; then the token's content.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use couplet_endpoint::Side;
//! use couplet_layers::{HandshakeLayer, SendToken};
//! use couplet_protocols::{Claims, ExpectSignedToken, Keyring};
//!
//! // The second secret is being replaced: its tokens are still valid.
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
