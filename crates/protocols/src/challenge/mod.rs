//! Authenticates the peer by an Ed25519 key with which it signs a challenge.
//!
//! [`Challenge`] and [`AnswerChallenge`] are [handshakes](couplet_layers::handshake) of a side stack, for the two
//! ends of a connection: by custom the listening end asks and the dialling end answers. The asking end
//! has the public keys of the peers that it accepts, each with a name, in [`AuthorizedKeys`]; the name
//! becomes the connection's [`Identity`](couplet_layers::Identity). No secret is shared, and none is sent.
//!
//! Each end sends one line; bytes behind the line are kept:
//!
//! ```text
//!  asks ── couplet-challenge1 NONCE ──────────────▶ answers
//!  asks ◀── couplet-answer1 PUBLIC-KEY SIGNATURE ── answers
//! ```
//!
//! The nonce is 32 random bytes, new for each connection, so an overheard answer is worth nothing. The
//! signature (RFC 8032, checked strictly) is of `couplet-challenge1`, a zero byte, the nonce, and a
//! *context* that both ends know and neither sends. All are in base64 for URLs without padding. A peer
//! that fails is told nothing: the connection is closed.
//!
//! The answer proves the peer's identity, and nothing more. The answering end does not learn the other's identity,
//! and the bytes that follow are neither encrypted nor bound to the answer: an attacker in the middle
//! can pass the two lines on and then speak for the peer. The context keeps one service from using an
//! answer at another. Against an attacker in the middle, put TLS or Noise above this layer.
//!
//! **Where:** on a side stack, below TLS or Noise. **Splice:** kept, once the bytes behind the line have
//! been read. **Memory:** at most 256 bytes while the line is read.
//!
//! ```
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key};
//!
//! let key = Ed25519Key::generate()?;
//! let authorized: AuthorizedKeys = format!("{} laptop", key.public()).parse()?;
//!
//! let ask = HandshakeLayer::new(Challenge::new(authorized).context("backup"));
//! let answer = HandshakeLayer::new(AnswerChallenge::new(key).context("backup"));
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```

mod answer;
mod ask;
mod authorized;
mod key;
#[cfg(test)]
mod tests;

pub use self::{
    answer::{AnswerChallenge, NotAsked},
    ask::{Challenge, ChallengeRefused},
    authorized::AuthorizedKeys,
    key::{Ed25519Key, Ed25519PublicKey},
};

/// The first word of a challenge, and of the signed message.
const ASK: &str = "couplet-challenge1";

/// The first word of an answer.
const ANSWER: &str = "couplet-answer1";

/// The longest line of either end, in bytes, with its line feed.
const MAX_LINE: usize = 256;

/// The signed message. All parts but the last have a fixed length.
fn message(nonce: &[u8; 32], context: &str) -> Vec<u8> {
    [ASK.as_bytes(), b"\0", nonce, context.as_bytes()].concat()
}
