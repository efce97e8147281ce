use std::{fs, io, path::Path, str::FromStr, sync::Arc};

use couplet_layers::{KeyFileError, handshake::key_file::entries};
use subtle::ConstantTimeEq;

use super::{Login, login::LONGEST};

/// The users of a proxy and their passwords.
///
/// A file has a line for each, `USER:PASSWORD`; blank lines and lines that begin with `#` are skipped. A
/// password ends with its line, and blanks are a part of it. `Debug` shows no password.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Users({})", _0.len())]
pub struct Users(Arc<[Login]>);

// ===== impl Users =====

impl Users {
    /// Reads a file.
    ///
    /// Blocks while it reads, as is right before a relay starts.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or a line of it is invalid: then with a [`KeyFileError`] within.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let users = fs::read_to_string(path)?.parse();
        users.map_err(|error: KeyFileError| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The user with this name and password. Compares with all users, each in the same time.
    pub(crate) fn find(&self, user: &[u8], password: &[u8]) -> Option<&str> {
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
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let mut users: Vec<Login> = Vec::new();
        for entry in entries(text) {
            let line = entry.line();
            let (user, password) = line
                .split_once(':')
                .ok_or_else(|| entry.wrong(line, "no colon, a line is `USER:PASSWORD`"))?;
            let login = Login::new(user, password).map_err(|wrong| entry.wrong(line, wrong))?;
            if users.iter().any(|other| other.user() == login.user()) {
                return Err(entry.wrong(line, "user is there twice"));
            }
            users.push(login);
        }
        match users.is_empty() {
            true => Err(KeyFileError::whole("no user, a line is `USER:PASSWORD`")),
            false => Ok(Self(users.into())),
        }
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
            ("a:b\nsecret\n", "line 2, column 1: no colon"),
            ("a:b\n\n:secret", "line 3"),
            ("a:", "line 1"),
            ("a:b\na:secret", "line 2, column 1: user is there twice"),
            (&format!("a:{}", "secret".repeat(50)), "line 1"),
            ("a:sec\x1bret", "line 1"),
            ("\n# a:secret\n", "line 1, column 1: no user"),
        ] {
            let error = text.parse::<Users>().unwrap_err();
            let shown = crate::testing::chain(&error);
            assert!(shown.starts_with(line), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
