//! Files of public keys with names: `ed25519:… name`.

use std::{collections::HashMap, hash::Hash, str::FromStr};

use couplet_layers::{Identity, KeyFileError, handshake::key_file::entries};

use crate::key_text::InvalidKey;

/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// Parses a file of keys, one a line, each with a name behind it.
pub(crate) fn parse<K>(text: &str) -> Result<HashMap<K, Identity>, KeyFileError>
where
    K: FromStr<Err = InvalidKey> + Eq + Hash,
{
    let mut keys = HashMap::new();
    for entry in entries(text) {
        let line = entry.text();
        let (key, name) = line.split_once(char::is_whitespace).ok_or_else(|| {
            entry.wrong(line, "no name behind the key, a line is a key and a name")
        })?;
        let name = name.trim_start();
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let wrong = "invalid name, at most 256 bytes and no control characters";
            return Err(entry.wrong(name, wrong));
        }
        let parsed = key.parse().map_err(|wrong| entry.wrong(key, wrong))?;
        if keys.insert(parsed, Identity::new(name)).is_some() {
            return Err(entry.wrong(key, "key is there twice"));
        }
    }
    match keys.is_empty() {
        true => Err(KeyFileError::whole("no key, a line is a key and a name")),
        false => Ok(keys),
    }
}
