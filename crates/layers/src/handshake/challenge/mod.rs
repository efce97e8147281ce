//! The peer has to sign a challenge with an Ed25519 key that is known.
//!
//! [`Challenge`] and [`AnswerChallenge`] are [handshakes](crate::handshake) of a side stack, for the
//! two ends of a connection, whichever of them was dialled: by custom who listens asks, and who
//! dials answers. Who asks has the public keys of those who may come in, each with a name, in
//! [`AuthorizedKeys`]; the name becomes the connection's [`Identity`](crate::Identity). No secret is
//! shared, and none goes over the wire.
//!
//! Each side says one line, and what comes behind it is not lost:
//!
//! ```text
//!  asks ── couplet-challenge1 NONCE ──────────────▶ answers
//!  asks ◀── couplet-answer1 PUBLIC-KEY SIGNATURE ── answers
//! ```
//!
//! The nonce is 32 bytes from the system, new for each connection, so an answer that was overheard
//! is worth nothing; the signature (RFC 8032, checked strictly) is of `couplet-challenge1`, a zero
//! byte, the nonce, and a *context* that both sides know and neither says. All are in base64 for URLs
//! without padding. A peer that fails is told nothing: its connection is closed.
//!
//! It proves who the peer is, and nothing more. Who answers does not know who asked, and what
//! follows is neither encrypted nor bound to the answer: somebody in the middle can pass the two
//! lines on, and then speak for the peer. The context keeps one service that is asked from using the
//! answer at another. Where others can be in the middle, put TLS or Noise before it.
//!
//! **Where:** on a side stack, as other handshakes. **Splice:** costs none.
//!
//! ```
//! use couplet_layers::{AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key, HandshakeLayer};
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

/// The first word of who asks, and of what is signed.
const ASK: &str = "couplet-challenge1";

/// The first word of who answers.
const ANSWER: &str = "couplet-answer1";

/// The longest line of either, in bytes, with its line feed.
const MAX_LINE: usize = 256;

/// What is signed: the lengths of all but the last part are fixed.
fn message(nonce: &[u8; 32], context: &str) -> Vec<u8> {
    [ASK.as_bytes(), b"\0", nonce, context.as_bytes()].concat()
}
