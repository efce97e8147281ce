use std::sync::Arc;

use thiserror::Error;

/// The longest user name and the longest password (RFC 1929), in bytes.
pub(super) const LONGEST: usize = 255;

/// A user and a password, for a proxy. `Debug` does not show the password.
///
/// Both travel in the clear, with SOCKS5 and with CONNECT alike: use TLS to a proxy on another machine.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
pub struct Login {
    user: Arc<str>,
    #[debug(skip)]
    password: Arc<[u8]>,
}

/// A user and a password can't serve as a [`Login`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidLogin {
    /// The user or the password is empty.
    #[error("user or password is empty")]
    Empty,
    /// The user or the password is longer than 255 bytes.
    #[error("user or password is longer than 255 bytes")]
    TooLong,
    /// The user has a colon in it, which ends the user in the `Basic` scheme and in files.
    #[error("user has a colon in it")]
    Colon,
    /// The user or the password has a control character in it.
    #[error("user or password has a control character in it")]
    Control,
}

// ===== impl Login =====

impl Login {
    /// A user with this password.
    ///
    /// # Errors
    ///
    /// If one of the two is empty, longer than 255 bytes, or has a control character in it, or the user has
    /// a colon in it.
    pub fn new(user: &str, password: impl AsRef<[u8]>) -> Result<Self, InvalidLogin> {
        let password = password.as_ref();
        let both = [user.as_bytes(), password];
        if both.iter().any(|text| text.is_empty()) {
            Err(InvalidLogin::Empty)
        } else if both.iter().any(|text| text.len() > LONGEST) {
            Err(InvalidLogin::TooLong)
        } else if user.contains(':') {
            Err(InvalidLogin::Colon)
        } else if both.concat().iter().any(u8::is_ascii_control) {
            Err(InvalidLogin::Control)
        } else {
            Ok(Self {
                user: user.into(),
                password: password.into(),
            })
        }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &[u8] {
        &self.password
    }
}
