//! The first line is a shared secret.
//!
//! [`ExpectToken`] lets a connection pass whose peer sends the secret and a line feed (or
//! carriage return and line feed) before anything else; [`SendToken`] sends it. Both are
//! [handshakes](crate::handshake) of a side stack; what comes behind the line is not lost.
//!
//! The line is compared in constant time. A peer that fails is told nothing: its connection is
//! closed. The secret travels in the clear: put TLS before it where others can listen.
//!
//! ```
//! use couplet_layers::{ExpectToken, HandshakeLayer, Token};
//!
//! let token = Token::new("correct horse battery staple")?;
//! let layer = HandshakeLayer::new(ExpectToken::new(token));
//! # Ok::<(), couplet_layers::InvalidToken>(())
//! ```

mod expect;
mod send;

pub use self::{
    expect::{ExpectToken, TokenRefused},
    send::SendToken,
};

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq;
use thiserror::Error;

/// The longest line that is read or sent, with its line feed.
pub(crate) const MAX_LINE: usize = 4096;

/// A shared secret of one line: 1 to 4094 bytes, without a line feed and not ending in a carriage
/// return. It is not shown by `Debug`.
#[derive(Clone)]
pub struct Token(Arc<[u8]>);

/// A secret can't serve as a [`Token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// There is none.
    #[error("the token is empty")]
    Empty,
    /// It is longer than 4094 bytes.
    #[error("the token is longer than 4094 bytes")]
    TooLong,
    /// It would not fit on one line.
    #[error("the token has more than one line")]
    LineBreak,
}

// ===== impl Token =====

impl Token {
    /// # Errors
    ///
    /// When the secret is empty, too long, or has a line break in it.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, InvalidToken> {
        let secret = secret.as_ref();
        if secret.is_empty() {
            Err(InvalidToken::Empty)
        } else if secret.len() > MAX_LINE - 2 {
            Err(InvalidToken::TooLong)
        } else if secret.contains(&b'\n') || secret.ends_with(b"\r") {
            Err(InvalidToken::LineBreak)
        } else {
            Ok(Self(secret.into()))
        }
    }

    pub(crate) fn line(&self) -> Vec<u8> {
        [&self.0[..], b"\n"].concat()
    }

    /// Takes the same time wherever the two differ, and however long they are.
    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        let same_bytes = padded(line).ct_eq(&padded(&self.0));
        let same_length = line.len().ct_eq(&self.0.len());
        (same_bytes & same_length).into()
    }
}

fn padded(line: &[u8]) -> [u8; MAX_LINE] {
    let mut padded = [0; MAX_LINE];
    padded[..line.len()].copy_from_slice(line);
    padded
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_line_matches() {
        let token = Token::new("secret").unwrap();
        assert!(token.matches(b"secret"));
        for other in ["", "secre", "secret\0", "Secret", "secret2"] {
            assert!(!token.matches(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn what_can_not_be_a_line_is_refused() {
        assert_eq!(Token::new("").unwrap_err(), InvalidToken::Empty);
        assert_eq!(Token::new("a\nb").unwrap_err(), InvalidToken::LineBreak);
        assert_eq!(Token::new("a\r").unwrap_err(), InvalidToken::LineBreak);
        assert_eq!(Token::new([b'x'; 4095]).unwrap_err(), InvalidToken::TooLong);
        assert!(Token::new([b'x'; 4094]).is_ok());
    }

    #[test]
    fn it_is_not_shown() {
        let token = Token::new("secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }
}
