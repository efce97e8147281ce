use couplet_endpoint::Side;

use super::MeetingKey;

const VERSION: &[u8] = b"couplet/1 ";

/// The last word of a client that goes where the relay sends it.
const FOLLOWS: &[u8] = b" +goto";

/// The longest line, with its end: a token has at most 512 bytes.
pub(super) const MAX_LINE: usize = 566;

/// The content of a client's line, which proves nothing.
#[derive(Debug, PartialEq)]
pub(super) struct Request<'a> {
    pub(super) key: MeetingKey,
    pub(super) side: Option<Side>,
    pub(super) token: Option<&'a [u8]>,
    /// It goes where the relay sends it.
    pub(super) follows: bool,
}

// ===== impl Request =====

impl<'a> Request<'a> {
    /// Parses a line without its end.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (key, rest) = line
            .strip_prefix(VERSION)?
            .split_at_checked(MeetingKey::DIGITS)?;
        let key = MeetingKey::parse(key)?;
        let (rest, follows) = match rest.strip_suffix(FOLLOWS) {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (mut side, mut token) = (None, None);
        if !rest.is_empty() {
            let mut words = rest.strip_prefix(b" ")?.split(|byte| *byte == b' ');
            let first = words.next()?;
            side = side_of(first);
            token = match side {
                Some(_) => words.next(),
                None => Some(first),
            };
            // A word that begins so is none of this version.
            let is_word = |token: &[u8]| !token.is_empty() && token[0] != b'+';
            if words.next().is_some() || !token.is_none_or(is_word) {
                return None;
            }
        }
        Some(Self {
            key,
            side,
            token,
            follows,
        })
    }

    /// The line, with its end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = VERSION.to_vec();
        line.extend(self.key.to_string().as_bytes());
        if let Some(side) = self.side {
            line.extend(match side {
                Side::A => b" a",
                Side::B => b" b",
            });
        }
        if let Some(token) = self.token {
            line.push(b' ');
            line.extend(token);
        }
        if self.follows {
            line.extend(FOLLOWS);
        }
        line.push(b'\n');
        line
    }
}

fn side_of(word: &[u8]) -> Option<Side> {
    match word {
        b"a" => Some(Side::A),
        b"b" => Some(Side::B),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever it is, it is taken apart without a loss, or not at all.
        #[test]
        fn a_request_line_is_read(
            version in prop_oneof![Just(VERSION), Just(&b"couplet/2 "[..])],
            key in "[0-9a-fA-F]{31,33}",
            rest in vec(prop_oneof![Just(b' '), Just(b'a'), Just(b'b'), Just(b'+'), any::<u8>()], 0..8),
            follows in any::<bool>(),
        ) {
            let last = if follows { FOLLOWS } else { b"" };
            let said = [version, key.as_bytes(), &rest, last].concat();
            if let Some(request) = Request::parse(&said) {
                let line = request.line();
                prop_assert_eq!(&line[..line.len() - 1], &said[..]);
            }
        }
    }

    #[test]
    fn a_request_is_read_as_it_is_written() {
        let key = MeetingKey::of("foo");
        for side in [None, Some(Side::A), Some(Side::B)] {
            for token in [None, Some(&b"couplet1.x"[..])] {
                for follows in [false, true] {
                    let request = Request {
                        key,
                        side,
                        token,
                        follows,
                    };
                    let line = request.line();
                    assert_eq!(line[10..42], *key.to_string().as_bytes());
                    let (end, line) = line.split_last().unwrap();
                    assert_eq!(*end, b'\n');
                    assert_eq!(Request::parse(line), Some(request));
                }
            }
        }
    }

    #[test]
    fn a_malformed_line_is_refused() {
        let key = "2c26b46b68ffc68ff99b453c1d304134";
        let valid = format!("couplet/1 {key} a token");
        assert!(Request::parse(valid.as_bytes()).is_some());
        for wrong in [
            "",
            "couplet/1",
            "couplet/1 ",
            "couplet/1 2c26",
            "GET / HTTP/1.1",
            &format!("couplet/2 {key}"),
            &format!("couplet/1  {key}"),
            &format!("couplet/1 {key} "),
            &format!("couplet/1 {key}a"),
            &format!("couplet/1 {key} a "),
            &format!("couplet/1 {key} a  token"),
            &format!("couplet/1 {key} a token more"),
            &format!("couplet/1 {key} token a"),
            &format!("couplet/1 {key} a token +goto more"),
            &format!("couplet/1 {key} +goto +goto"),
            &format!("couplet/1 {key} +else"),
            &format!("couplet/1 {key}+goto"),
            &format!("couplet/1 {key}  +goto"),
            &format!("couplet/1 {key}\ttoken"),
            &format!("couplet/1 {}", key.to_uppercase()),
            &format!("Couplet/1 {key}"),
        ] {
            assert_eq!(Request::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
