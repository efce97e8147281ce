//! Encrypted between two relays, without certificates: the Noise protocol.
//!
//! [`NoiseInitiator`] and [`NoiseResponder`] are [handshakes](crate::handshake) of a side stack, for
//! the two ends of a connection; by custom who dials is the initiator. What is below them speaks
//! plain bytes, what is on the wire is encrypted and authenticated. Two relays with them on the sides
//! that face each other make an encrypted tunnel.
//!
//! There are two ways for them to know each other (the [Noise Protocol
//! Framework](https://noiseprotocol.org/noise.html), revision 34):
//!
//! - a shared secret, [`NoisePsk`]: `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`. Whoever overhears a
//!   handshake can try secrets on it, so it has to be one that can't be guessed: 32 random bytes,
//!   not a password.
//! - known keys, [`NoiseKey`] and [`NoisePublicKey`]: `Noise_KK_25519_ChaChaPoly_BLAKE2s`. The
//!   responder may know several peers, and the name of the one that came becomes the connection's
//!   [`Identity`](crate::Identity). It tries them one after the other, at most 64, for some 0.3 ms
//!   each; whoever is none of them has it try all. Where that may be many, limit them above it:
//!   `ConnRateLayer`, [`AttemptsLayer`](crate::AttemptsLayer).
//!
//! The keys that encrypt are new for each connection and direction, and what was recorded can't be
//! decrypted by who learns the secret or a key later. A connection passes only once its peer has
//! proved that it has these keys, so neither a plain peer nor a handshake that was recorded gets by. A
//! peer that fails is told nothing: its connection is closed.
//!
//! On the wire each message is its length in 2 bytes, high byte first, and then itself:
//!
//! ```text
//!  initiator ── handshake 48 ──▶ ◀── handshake 48 ── responder
//!  initiator ── an empty record ──▶                              it has the keys
//!  either    ── records ───────▶  each at most 16 KiB, and 16 bytes that authenticate it
//!            ── an empty record ▶  the end of this direction
//! ```
//!
//! What holds for each direction:
//!
//! - Its end is said by a record of its own and then by the stream's end. One without the other, a
//!   record that was changed, left out, repeated or moved is a failure, and no end: the other side of
//!   the pair sees a reset. What came before it was delivered.
//! - It ends by itself; the other goes on.
//! - A flush sends on what was written before.
//! - Its key is replaced every 65536 records. It fails before a nonce could come twice, after 2^64.
//!
//! Lengths and times can be seen by who listens: nothing is padded.
//!
//! **Where:** on a side stack, above what speaks plain bytes (a token), below what is on the wire (a
//! PROXY header). **Splice:** both directions are copied. **Memory:** some 1 KiB a connection, and
//! while bytes wait, 64 KiB a direction at most.
//!
//! ```
//! use couplet_layers::{HandshakeLayer, NoiseInitiator, NoisePsk, NoiseResponder};
//!
//! let psk = NoisePsk::from_secret("r7NKnQYSgPPQXIQ0M2nmTEGJrISz5ZHTyvMN6sCrZBQ")?;
//! let dialled = HandshakeLayer::new(NoiseInitiator::psk(psk.clone()));
//! let listening = HandshakeLayer::new(NoiseResponder::psk(psk));
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```

mod key;
mod peers;
mod psk;
mod records;
mod shake;
#[cfg(test)]
mod tests;

pub use self::{
    key::{NoiseKey, NoisePublicKey},
    peers::NoisePeers,
    psk::{NoisePsk, ShortSecret},
    records::BadRecord,
    shake::{NoiseFailed, NoiseInitiator, NoiseResponder},
};
