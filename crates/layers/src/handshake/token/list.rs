use std::{fmt, str::FromStr, sync::Arc};

use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{InvalidToken, Token};
use crate::handshake::{
    Identity,
    key_file::{KeyFileError, entries},
};

/// The longest name of a token, in bytes.
const MAX_NAME: usize = 64;

/// The tokens that are accepted, each with a name or without, so that each can be given to one client
/// and withdrawn alone.
///
/// A file has one a line: `token`, or `name: token` with a blank behind the colon. Blank lines and those
/// that begin with `#` are skipped. A name is 1 to 64 letters, digits and `-_.@+`, and becomes the
/// [`Identity`] of the client that sends its token. `Debug` does not show the tokens.
///
/// A line is compared with all of them, in constant time: 1,000 tokens cost some 50 µs a client.
///
/// ```
/// use couplet_layers::{ExpectToken, Tokens};
///
/// let tokens: Tokens = "laptop: correct horse\nphone: battery staple\n".parse()?;
/// let expect = ExpectToken::any_of(tokens);
/// # Ok::<(), couplet_layers::KeyFileError>(())
/// ```
#[derive(Clone)]
pub struct Tokens {
    all: Arc<[Named]>,
    /// As long as the longest token.
    width: usize,
}

#[derive(Clone)]
struct Named {
    token: Token,
    /// The token, as long as the longest.
    padded: Box<[u8]>,
    name: Option<Identity>,
}

// ===== impl Tokens =====

impl Tokens {
    fn of(all: Vec<(Token, Option<Identity>)>) -> Self {
        let longest = all.iter().map(|(token, _)| token.0.len()).max();
        let width = longest.unwrap_or_default();
        let named = all.into_iter().map(|(token, name)| Named {
            padded: padded(&token.0, width),
            token,
            name,
        });
        Self {
            all: named.collect(),
            width,
        }
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is no token; a file without tokens is an error.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The name of the token that the line is, if that has one; `None` if the line is no token. Takes
    /// the same time for all lines, of any length.
    pub(super) fn find(&self, line: &[u8]) -> Option<Option<&Identity>> {
        let shown = padded(line, self.width);
        // One more than the index.
        let mut found = 0_u32;
        for (Named { token, padded, .. }, number) in self.all.iter().zip(1_u32..) {
            let is_same = shown.ct_eq(padded) & line.len().ct_eq(&token.0.len());
            found.conditional_assign(&number, is_same);
        }
        let index = usize::try_from(found).ok()?.checked_sub(1)?;
        Some(self.all[index].name.as_ref())
    }
}

impl From<Token> for Tokens {
    fn from(token: Token) -> Self {
        Self::of(vec![(token, None)])
    }
}

impl FromStr for Tokens {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let mut all = Vec::<(Token, Option<Identity>)>::new();
        for entry in entries(text) {
            let line = entry.text();
            let (name, secret) = match line.split_once(": ") {
                Some((name, secret)) if is_name(name) => (Some(name), secret.trim()),
                _ => (None, line),
            };
            let token =
                Token::new(secret).map_err(|wrong: InvalidToken| entry.wrong(secret, wrong))?;
            let name = name.map(|name| (name, Identity::new(name)));
            for (other, of) in &all {
                if let Some((name, identity)) = &name
                    && of.as_ref() == Some(identity)
                {
                    return Err(entry.wrong(name, "name of a token is there twice"));
                }
                if *other.0 == *token.0 {
                    return Err(entry.wrong(secret, "token is there twice"));
                }
            }
            all.push((token, name.map(|(_, identity)| identity)));
        }
        match all.is_empty() {
            true => Err(KeyFileError::whole(
                "no token, a line is `token` or `name: token`",
            )),
            false => Ok(Self::of(all)),
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// The beginning of a line, of this length.
fn padded(line: &[u8], width: usize) -> Box<[u8]> {
    let mut padded = vec![0; width];
    let len = line.len().min(width);
    padded[..len].copy_from_slice(&line[..len]);
    padded.into()
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.all.iter().map(|named| &named.name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Tokens {
        text.parse().unwrap()
    }

    #[test]
    fn each_token_has_its_name_or_none() {
        let tokens =
            tokens("\u{feff}# of the house\nann: secret one\r\n\n  secret: two\nbob:  x\n");
        assert_eq!(tokens.len(), 3);
        let name = |line: &str| {
            tokens
                .find(line.as_bytes())
                .map(|name| name.map(Identity::name))
        };
        assert_eq!(name("secret one"), Some(Some("ann")));
        assert_eq!(name("x"), Some(Some("bob")));
        for other in [
            "",
            "ann: secret one",
            "secret on",
            "secret one ",
            "y",
            "x\0",
        ] {
            assert_eq!(name(other), None, "{other:?}");
        }
        assert_eq!(name(&"x".repeat(4094)), None);
        assert_eq!(name("two"), Some(Some("secret")));
    }

    #[test]
    fn a_token_alone_may_have_any_colons() {
        for text in ["a b: c", "a:b", ": c", "a:"] {
            assert!(tokens(text).find(text.as_bytes()).is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_is_pointed_at_and_not_shown() {
        let long = format!("ok\nann: {}", "x".repeat(4095));
        for (text, message) in [
            ("", "line 1, column 1: no token"),
            ("# nothing\n", "line 1, column 1: no token"),
            (&*long, "line 2, column 6: token is longer"),
            (
                "ann: s1\nann: s2",
                "line 2, column 1: name of a token is there twice",
            ),
            ("ann: s1\nbob: s1", "line 2, column 6: token is there twice"),
        ] {
            let error = text.parse::<Tokens>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("s1"), "{error}");
        }
        assert!(!format!("{:?}", tokens("ann: s1")).contains("s1"));
    }
}
