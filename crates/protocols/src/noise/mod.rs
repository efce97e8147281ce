//! Encrypts between two relays without certificates: the Noise protocol.
//!
//! [`NoiseInitiator`] and [`NoiseResponder`] are [handshakes](couplet_layers::handshake) of a side stack, for the
//! two ends of a connection; by custom the dialling end is the initiator. The layers below see plain
//! bytes, the wire is encrypted and authenticated. Two relays with these layers on the sides that face
//! each other make an encrypted tunnel.
//!
//! The two ends know each other in one of two ways ([Noise Protocol
//! Framework](https://noiseprotocol.org/noise.html), revision 34):
//!
//! - by a shared secret, [`NoisePsk`]: `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`. An attacker who overhears
//!   a handshake can try secrets on it, so use 32 random bytes, not a password.
//! - by public keys, [`NoiseKey`] and [`NoisePublicKey`]: `Noise_KK_25519_ChaChaPoly_BLAKE2s`. A
//!   responder may know several peers; the peer's name becomes the connection's
//!   [`Identity`](couplet_layers::Identity). The responder tries the keys one after the other, at most 64, at
//!   some 0.3 ms each, and for a stranger all of them. Against many strangers put a limit above this
//!   layer: `ConnRateLayer`, [`AttemptsLayer`](couplet_layers::AttemptsLayer).
//!
//! Each connection and direction has a new key (forward secrecy): an attacker who learns the secret or a
//! private key later can't decrypt what was recorded. A connection passes once the peer has proved that
//! it has the keys of this connection, so a replayed handshake is refused. A peer that fails is told
//! nothing: the connection is closed.
//!
//! On the wire, each message follows its length in 2 bytes, high byte first:
//!
//! ```text
//!  initiator ── handshake 48 ──▶ ◀── handshake 48 ── responder
//!  initiator ── an empty record ──▶                              proves the keys
//!  either    ── records ───────▶  each at most 16 KiB, and 16 bytes that authenticate it
//!            ── an empty record ▶  the end of this direction
//! ```
//!
//! For each direction:
//!
//! - The end of the stream is an empty record and then the end of the connection. One without the other,
//!   or a record that was changed, left out, repeated or moved, is an error and no end: the other side of
//!   the pair sees a reset. Bytes before it are delivered.
//! - Each direction ends by itself; the other goes on (half-close).
//! - A flush sends all bytes that were written before.
//! - The key is replaced every 65536 records. The direction fails before a nonce could repeat, after
//!   2^64 records.
//!
//! Lengths and times are visible on the wire: nothing is padded.
//!
//! **Where:** on a side stack, above plain layers (a token), below a PROXY header. **Splice:** none, both
//! directions are copied. **Memory:** some 1 KiB a connection, and at most 64 KiB a direction while bytes
//! wait.
//!
//! ```
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{NoiseInitiator, NoisePsk, NoiseResponder};
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
