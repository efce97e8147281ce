use std::{str::FromStr, sync::Arc};

use super::NoisePublicKey;
use crate::{handshake::Identity, handshake::KeyFileError, handshake::key_names};

/// How many a responder tries.
const MAX: usize = 64;

/// Whom a responder knows: public keys, each with a name. At most 64.
///
/// Written in a file it is one a line, `noise:… name`; blank lines and those that begin with `#`
/// are passed over.
#[derive(Clone, Debug)]
pub struct NoisePeers(Arc<[(NoisePublicKey, Identity)]>);

// ===== impl NoisePeers =====

impl NoisePeers {
    /// One peer, whose name is its key.
    pub fn one(key: NoisePublicKey) -> Self {
        Self([(key, Identity::new(key.to_string()))].into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(NoisePublicKey, Identity)> {
        self.0.iter()
    }
}

impl FromStr for NoisePeers {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let peers = key_names::parse(text)?;
        match peers.len() {
            ..=MAX => Ok(Self(peers.into_iter().collect())),
            _ => Err(KeyFileError::whole("there are more than 64 keys")),
        }
    }
}
