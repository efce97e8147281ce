use std::io;

use bytes::BytesMut;
use couplet_endpoint::{Conn, Io};
use couplet_layers::{Identity, Transformed, boxed_handshake};
use snow::{Builder, HandshakeState, TransportState};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::yield_now,
};

use super::{
    NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
    records::{Keys, LENGTH, REKEY, TAG},
};

/// The prologue: both ends must have the same.
const PROLOGUE: &[u8] = b"couplet noise 1";

/// The length of either handshake message: an ephemeral key and an empty payload, in both patterns.
const MESSAGE: usize = 32 + TAG;

/// Begins the handshake: for a connection that was dialled. See the [module](super).
#[derive(Clone, Debug)]
pub struct NoiseInitiator {
    knows: InitiatorKnows,
    rekey: u64,
}

/// Answers the handshake: for a connection that was accepted. See the [module](super).
#[derive(Clone, Debug)]
pub struct NoiseResponder {
    knows: ResponderKnows,
    rekey: u64,
}

#[derive(Clone, Debug)]
enum InitiatorKnows {
    Psk(NoisePsk),
    Keys(NoiseKey, NoisePublicKey),
}

#[derive(Clone, Debug)]
enum ResponderKnows {
    Psk(NoisePsk),
    Keys(NoiseKey, NoisePeers),
}

/// A Noise handshake failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoiseFailed {
    /// The peer does not speak this protocol.
    #[error("peer does not speak this Noise protocol: `noise` must be set on both ends")]
    NotNoise,
    /// The peer has another secret or key, or the handshake was changed or recorded before.
    #[error("peer has another secret or key: the Noise handshake is not authentic")]
    NotAuthentic,
    /// The connection failed or ended.
    #[error("connection failed during the Noise handshake")]
    Io(#[from] io::Error),
    /// Our own part of the handshake failed.
    #[error("own part of the Noise handshake failed")]
    Unmade(#[source] snow::Error),
}

type Shaken<I> = Result<Conn<Transformed<I>>, NoiseFailed>;

// ===== impl NoiseInitiator =====

impl NoiseInitiator {
    /// Both ends have this secret.
    pub const fn psk(psk: NoisePsk) -> Self {
        Self {
            knows: InitiatorKnows::Psk(psk),
            rekey: REKEY,
        }
    }

    /// The peer has the private half of `peer`, and knows the public half of `key`.
    pub const fn kk(key: NoiseKey, peer: NoisePublicKey) -> Self {
        Self {
            knows: InitiatorKnows::Keys(key, peer),
            rekey: REKEY,
        }
    }

    #[cfg(test)]
    pub(super) const fn rekey(mut self, records: u64) -> Self {
        self.rekey = records;
        self
    }

    fn state(&self) -> Result<HandshakeState, NoiseFailed> {
        let builder = match &self.knows {
            InitiatorKnows::Psk(psk) => with_psk(psk),
            InitiatorKnows::Keys(key, peer) => with_keys(key, peer),
        };
        builder
            .and_then(Builder::build_initiator)
            .map_err(NoiseFailed::Unmade)
    }

    async fn shake<I: Io>(self, mut conn: Conn<I>) -> Shaken<I> {
        let mut state = self.state()?;
        say(&mut conn.io, &mut state).await?;
        hear(&mut state, &heard(&mut conn.io).await?)?;
        let keys = Keys::new(transport(state)?, self.rekey);
        let mut proof = BytesMut::new();
        let sealed = keys.seal(b"", &mut proof);
        sealed.map_err(io::Error::other)?;
        conn.io.write_all(&proof).await?;
        conn.io.flush().await?;
        Ok(encrypted(conn, keys))
    }
}

boxed_handshake!(NoiseInitiator => Conn<Transformed<I>>, NoiseFailed, Noise);

// ===== impl NoiseResponder =====

impl NoiseResponder {
    /// Both ends have this secret.
    pub const fn psk(psk: NoisePsk) -> Self {
        Self {
            knows: ResponderKnows::Psk(psk),
            rekey: REKEY,
        }
    }

    /// The peer has the private half of one of `peers`, and knows the public half of `key`.
    pub const fn kk(key: NoiseKey, peers: NoisePeers) -> Self {
        Self {
            knows: ResponderKnows::Keys(key, peers),
            rekey: REKEY,
        }
    }

    #[cfg(test)]
    pub(super) const fn rekey(mut self, records: u64) -> Self {
        self.rekey = records;
        self
    }

    /// Reads the first message. Returns the state after it, and the peer's name where peers have names.
    async fn begin(
        &self,
        message: &[u8],
    ) -> Result<(HandshakeState, Option<Identity>), NoiseFailed> {
        match &self.knows {
            ResponderKnows::Psk(psk) => {
                let mut state = responder(with_psk(psk))?;
                hear(&mut state, message)?;
                Ok((state, None))
            }
            ResponderKnows::Keys(key, peers) => {
                for (peer, name) in peers.iter() {
                    let mut state = responder(with_keys(key, peer))?;
                    if hear(&mut state, message).is_ok() {
                        return Ok((state, Some(name.clone())));
                    }
                    // A stranger makes us try all of them: other tasks run in between.
                    yield_now().await;
                }
                Err(NoiseFailed::NotAuthentic)
            }
        }
    }

    async fn shake<I: Io>(self, mut conn: Conn<I>) -> Shaken<I> {
        let (mut state, name) = self.begin(&heard(&mut conn.io).await?).await?;
        say(&mut conn.io, &mut state).await?;
        let keys = Keys::new(transport(state)?, self.rekey);
        // The first message may be a recorded one: only this proof shows that the peer has the keys of
        // this connection.
        let proof: [u8; TAG] = message(&mut conn.io).await?;
        keys.open(&proof, &mut BytesMut::new())
            .map_err(|_| NoiseFailed::NotAuthentic)?;
        if let Some(name) = name {
            name.put_into(&mut conn.info);
        }
        Ok(encrypted(conn, keys))
    }
}

boxed_handshake!(NoiseResponder => Conn<Transformed<I>>, NoiseFailed, Noise);

// ===== the states =====

fn with_psk(psk: &NoisePsk) -> Result<Builder<'_>, snow::Error> {
    builder("Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s")?.psk(0, psk.bytes())
}

fn with_keys<'a>(key: &'a NoiseKey, peer: &'a NoisePublicKey) -> Result<Builder<'a>, snow::Error> {
    builder("Noise_KK_25519_ChaChaPoly_BLAKE2s")?
        .local_private_key(key.bytes())?
        .remote_public_key(peer.bytes())
}

fn builder<'a>(protocol: &str) -> Result<Builder<'a>, snow::Error> {
    Builder::new(protocol.parse()?).prologue(PROLOGUE)
}

fn responder(builder: Result<Builder<'_>, snow::Error>) -> Result<HandshakeState, NoiseFailed> {
    builder
        .and_then(Builder::build_responder)
        .map_err(NoiseFailed::Unmade)
}

fn transport(state: HandshakeState) -> Result<TransportState, NoiseFailed> {
    state.into_transport_mode().map_err(NoiseFailed::Unmade)
}

fn encrypted<I>(conn: Conn<I>, keys: Keys) -> Conn<Transformed<I>> {
    conn.map_io(|io| {
        let io = Transformed::new(io).reading(keys.clone().opening());
        io.writing(keys.sealing())
    })
}

// ===== the messages =====

async fn say<I: Io>(io: &mut I, state: &mut HandshakeState) -> Result<(), NoiseFailed> {
    let mut line = [0; LENGTH + MESSAGE];
    line[..LENGTH].copy_from_slice(&(MESSAGE as u16).to_be_bytes());
    let written = state.write_message(&[], &mut line[LENGTH..]);
    written.map_err(NoiseFailed::Unmade)?;
    io.write_all(&line).await?;
    io.flush().await?;
    Ok(())
}

async fn heard<I: Io>(io: &mut I) -> Result<[u8; MESSAGE], NoiseFailed> {
    message(io).await
}

/// Reads a message of exactly this length, and not a byte more.
async fn message<I: Io, const N: usize>(io: &mut I) -> Result<[u8; N], NoiseFailed> {
    if usize::from(io.read_u16().await?) != N {
        return Err(NoiseFailed::NotNoise);
    }
    let mut message = [0; N];
    io.read_exact(&mut message).await?;
    Ok(message)
}

fn hear(state: &mut HandshakeState, message: &[u8]) -> Result<(), NoiseFailed> {
    let mut payload = [0; MESSAGE];
    match state.read_message(message, &mut payload) {
        Ok(0) => Ok(()),
        _ => Err(NoiseFailed::NotAuthentic),
    }
}
