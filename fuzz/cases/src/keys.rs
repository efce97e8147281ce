//! Files and words with keys and lists in them. An error tells what is wrong, and no secret.

use std::{error::Error, str::FromStr};

use couplet_connector::layers::{Networks, Token};
use couplet_protocols::{
    AuthorizedKeys, Ed25519Key, Ed25519PublicKey, Keyring, NoiseKey, NoisePeers, NoisePublicKey,
    SignedToken,
};

use crate::stranger::shown;

/// Key files, lists of networks, tokens.
pub fn keys(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    parsed::<Networks>(text);
    parsed::<AuthorizedKeys>(text);
    parsed::<NoisePeers>(text);
    parsed::<Ed25519PublicKey>(text);
    parsed::<NoisePublicKey>(text);
    for (error, own_words) in [
        (parsed::<Ed25519Key>(text), parsed::<Ed25519Key>("?")),
        (parsed::<NoiseKey>(text), parsed::<NoiseKey>("?")),
        (parsed::<SignedToken>(text), parsed::<SignedToken>("?")),
        (token(text), token("\n")),
    ] {
        let error = error.unwrap_or_default();
        let tells = text.len() >= TELLING && error.contains(text);
        assert!(
            !tells || own_words.is_some_and(|own| own.contains(text)),
            "it tells {text:?}"
        );
    }
    if let Some(error) = parsed::<Keyring>(text) {
        let own_words = WRONG_KEYRINGS.map(parsed::<Keyring>);
        let is_own = |secret| own_words.iter().flatten().any(|own| own.contains(secret));
        for line in text.lines().filter(|line| !line.trim().starts_with('#')) {
            if let Some((_, secret)) = line.split_once(':') {
                let secret = secret.trim();
                assert!(
                    secret.len() < TELLING || !error.contains(secret) || is_own(secret),
                    "it tells {secret:?}"
                );
            }
        }
    }
}

/// What is shorter may be part of the error's own words.
const TELLING: usize = 12;

/// Each has another error: no secret, no name, an invalid name, a short secret, one name twice.
const WRONG_KEYRINGS: [&str; 5] = [
    "",
    "?",
    "?: 0123456789abcdef",
    "a: ?",
    "a: 0123456789abcdef\na: 0123456789abcdef",
];

fn token(text: &str) -> Option<String> {
    Token::new(text).err().map(|error| shown(&error))
}

fn parsed<T>(text: &str) -> Option<String>
where
    T: FromStr<Err: Error + 'static>,
{
    text.parse::<T>().err().map(|error| shown(&error))
}
