use std::fmt;

use sha2::{Digest, Sha256};

/// The key of a rendezvous: 16 bytes, written as 32 lower-case hex digits. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, derive_more::Debug)]
#[debug("MeetingKey(…)")]
pub struct MeetingKey([u8; Self::LEN]);

// ===== impl MeetingKey =====

impl MeetingKey {
    const LEN: usize = 16;

    /// The length as text.
    pub(super) const DIGITS: usize = 2 * Self::LEN;

    /// The key of a name: the first 16 bytes of its SHA-256. In a shell:
    /// `printf %s NAME | sha256sum | cut -c-32`.
    pub fn of(name: impl AsRef<[u8]>) -> Self {
        let mut key = [0; Self::LEN];
        key.copy_from_slice(&Sha256::digest(name)[..Self::LEN]);
        Self(key)
    }

    /// What logs show in place of the key: 8 hex digits, the same for the same key at every end. The key
    /// can't be found from it.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::new_with_prefix("couplet rendezvous fingerprint");
        let hash = hash.chain_update(self.0).finalize();
        hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn parse(digits: &[u8]) -> Option<Self> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        if digits.len() != Self::DIGITS {
            return None;
        }
        let mut key = [0; Self::LEN];
        for (byte, digits) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(digits[0])? << 4 | value(digits[1])?;
        }
        Some(Self(key))
    }
}

/// The text that is sent.
impl fmt::Display for MeetingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_sha256sum_prints() {
        let written = "2c26b46b68ffc68ff99b453c1d304134";
        let key = MeetingKey::of("foo");
        assert_eq!(key.to_string(), written);
        assert_eq!(MeetingKey::parse(written.as_bytes()), Some(key));
        for wrong in [
            &written[1..],
            &written.to_uppercase(),
            &format!("{written}0"),
        ] {
            assert_eq!(MeetingKey::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert!(!format!("{key:?}").contains("2c26"));
        let fingerprint = key.fingerprint();
        assert_eq!(fingerprint.len(), 8);
        assert!(!written.contains(&fingerprint));
        assert_ne!(fingerprint, MeetingKey::of("bar").fingerprint());
    }
}
