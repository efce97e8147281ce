use std::{str::FromStr, sync::Arc};

use super::NoisePublicKey;
use couplet_layers::{Identity, KeyFileError};

use crate::key_names;

/// The most keys that a responder tries.
const MAX: usize = 64;

/// The public keys of the peers that a responder accepts, each with a name. At most 64.
///
/// A file has one a line, `noise:… name`; blank lines and those that begin with `#` are skipped.
#[derive(Clone, Debug)]
pub struct NoisePeers(Arc<[(NoisePublicKey, Identity)]>);

// ===== impl NoisePeers =====

impl NoisePeers {
    /// Accepts one peer, with the key for a name.
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
            _ => Err(KeyFileError::whole(
                "more than 64 keys, which are tried one by one",
            )),
        }
    }
}
