use std::{fmt, fs, io, path::Path, str::FromStr, sync::Arc};

use subtle::ConstantTimeEq;
use thiserror::Error;

use super::{InvalidLogin, Login, login::LONGEST};

/// The users of a proxy and their passwords.
///
/// A file has a line for each, `USER:PASSWORD`; blank lines and lines that begin with `#` are skipped. A
/// password ends with its line, and blanks are a part of it. `Debug` shows no password.
#[derive(Clone, Default)]
pub struct Users(Arc<[Login]>);

/// A file of users can't be used. Shows nothing of a line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidUsers {
    /// The file can't be read, or is not UTF-8.
    #[error("file can't be read")]
    Read(#[from] io::Error),
    /// A line has no colon.
    #[error("line {0} has no colon: `USER:PASSWORD`")]
    NoColon(usize),
    /// The user or the password of a line is invalid.
    #[error("line {line}")]
    Login {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        source: InvalidLogin,
    },
    /// A user is there twice.
    #[error("line {0} has a user that another line has, too")]
    Twice(usize),
    /// There is no user.
    #[error("user missing: without one, no client could use the proxy")]
    Empty,
}

// ===== impl Users =====

impl Users {
    /// Reads a file.
    ///
    /// Blocks while it reads, as is right before a relay starts.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or a line of it is invalid.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, InvalidUsers> {
        fs::read_to_string(path)?.parse()
    }

    /// The user with this name and password. Compares with all users, each in the same time.
    pub(in crate::handshake) fn find(&self, user: &[u8], password: &[u8]) -> Option<&str> {
        let said = (padded(user), padded(password));
        let mut found = None;
        for login in self.0.iter() {
            let same_user = padded(login.user().as_bytes()).ct_eq(&said.0);
            let same_password = padded(login.password()).ct_eq(&said.1);
            if (same_user & same_password).into() {
                found = Some(login.user());
            }
        }
        found
    }
}

/// A text of one length, whatever its own. One that is too long equals none.
fn padded(text: &[u8]) -> [u8; LONGEST + 1] {
    let mut padded = [0; LONGEST + 1];
    match text.len() {
        len @ 0..=LONGEST => {
            padded[..len].copy_from_slice(text);
            padded[LONGEST] = len as u8;
        }
        // No user or password is empty.
        _ => padded[LONGEST] = 0,
    }
    padded
}

impl FromStr for Users {
    type Err = InvalidUsers;

    fn from_str(text: &str) -> Result<Self, InvalidUsers> {
        let mut users: Vec<Login> = Vec::new();
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let parts = line.split_once(':').ok_or(InvalidUsers::NoColon(number))?;
            let login = Login::new(parts.0, parts.1);
            let login = login.map_err(|source| InvalidUsers::Login {
                line: number,
                source,
            })?;
            if users.iter().any(|other| other.user() == login.user()) {
                return Err(InvalidUsers::Twice(number));
            }
            users.push(login);
        }
        match users.is_empty() {
            true => Err(InvalidUsers::Empty),
            false => Ok(Self(users.into())),
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_password_alone() {
        let text = "\u{feff}# users\nalice:wonder land:\r\n\n bob :#secret\n";
        let users: Users = text.parse().unwrap();
        assert_eq!(users.find(b"alice", b"wonder land:"), Some("alice"));
        assert_eq!(users.find(b" bob ", b"#secret"), Some(" bob "));
        for (user, password) in [
            (&b"alice"[..], &b"#secret"[..]),
            (b" bob ", b"wonder land:"),
            (b"Alice", b"wonder land:"),
            (b"alice", b"wonder land"),
            (b"alice", b"wonder land:\0"),
            (b"", b""),
            (&[b'a'; 300], &[b'a'; 300]),
        ] {
            assert_eq!(users.find(user, password), None);
        }
        assert!(!format!("{users:?}").contains("secret"));
    }

    #[test]
    fn a_line_that_is_wrong_is_named_and_not_shown() {
        for (text, line) in [
            ("a:b\nsecret\n", "line 2 has no colon"),
            ("a:b\n\n:secret", "line 3"),
            ("a:", "line 1"),
            ("a:b\na:secret", "line 2 has a user"),
            (&format!("a:{}", "secret".repeat(50)), "line 1"),
            ("a:sec\x1bret", "line 1"),
            ("\n# a:secret\n", "user missing"),
        ] {
            let error = text.parse::<Users>().unwrap_err();
            let shown = crate::testing::chain(&error);
            assert!(shown.starts_with(line), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
