use std::{collections::HashMap, str::FromStr, sync::Arc};

use super::Ed25519PublicKey;
use couplet_layers::{Identity, KeyFileError};

use crate::key_names;

/// The public keys that are accepted, each with a name. Several keys may have the same name.
///
/// A file has one a line, `ed25519:… name`; blank lines and those that begin with `#` are skipped.
#[derive(Clone, Debug)]
pub struct AuthorizedKeys(Arc<HashMap<Ed25519PublicKey, Identity>>);

// ===== impl AuthorizedKeys =====

impl AuthorizedKeys {
    /// The name of a key.
    pub fn name_of(&self, key: &Ed25519PublicKey) -> Option<&Identity> {
        self.0.get(key)
    }
}

impl FromIterator<(Ed25519PublicKey, Identity)> for AuthorizedKeys {
    fn from_iter<T: IntoIterator<Item = (Ed25519PublicKey, Identity)>>(keys: T) -> Self {
        Self(Arc::new(keys.into_iter().collect()))
    }
}

impl FromStr for AuthorizedKeys {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        key_names::parse(text).map(|keys| Self(Arc::new(keys)))
    }
}
