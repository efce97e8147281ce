//! `a-to-b:VALUE`: a value that may be for one direction alone.

use couplet_connector::endpoint::Side;

use crate::mistake::Mistake;

/// A value, and the side whose bytes it is for: both, where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Directed<T> {
    pub(super) only: Option<Side>,
    pub(super) value: T,
}

// ===== impl Directed =====

impl<T> Directed<T> {
    /// Reads the direction, and the value behind it.
    pub(super) fn read(
        text: &str,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Result<Self, Mistake> {
        let (only, rest) = if let Some(rest) = text.strip_prefix("a-to-b:") {
            (Some(Side::A), rest)
        } else if let Some(rest) = text.strip_prefix("b-to-a:") {
            (Some(Side::B), rest)
        } else {
            (None, text)
        };
        Ok(Self {
            only,
            value: read(rest)?,
        })
    }

    /// What the direction is called.
    pub(super) const fn direction(&self) -> &'static str {
        match self.only {
            None => "both ways",
            Some(Side::A) => "a-to-b",
            Some(Side::B) => "b-to-a",
        }
    }
}
