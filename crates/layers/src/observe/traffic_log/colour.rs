use std::{env, ffi::OsStr, io::IsTerminal};

use couplet_endpoint::Side;

/// Whether a traffic log is coloured, with one colour for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Colour {
    /// Coloured on standard output or error if that is a terminal, and the environment variable
    /// [`NO_COLOR`](https://no-color.org) is not set.
    #[default]
    Auto,
    /// Coloured in any writer; `tracing` never gets colours.
    Always,
    /// Never coloured.
    Never,
}

// ===== impl Colour =====

impl Colour {
    /// The meaning of [`Auto`](Self::Auto) for this stream.
    pub(super) fn auto(stream: &impl IsTerminal) -> Self {
        Self::decide(stream.is_terminal(), env::var_os("NO_COLOR").as_deref())
    }

    fn decide(terminal: bool, no_color: Option<&OsStr>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        match terminal && !refused {
            true => Self::Always,
            false => Self::Never,
        }
    }

    /// The escape sequences before and after a line of the direction from this side.
    pub(super) const fn around(self, from: Side) -> (&'static str, &'static str) {
        match (self, from) {
            (Self::Always, Side::A) => ("\x1b[36m", "\x1b[0m"),
            (Self::Always, Side::B) => ("\x1b[33m", "\x1b[0m"),
            (Self::Auto | Self::Never, _) => ("", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_coloured_unless_no_color_is_set() {
        assert_eq!(Colour::decide(true, None), Colour::Always);
        assert_eq!(Colour::decide(true, Some("".as_ref())), Colour::Always);
        assert_eq!(Colour::decide(true, Some("1".as_ref())), Colour::Never);
        assert_eq!(Colour::decide(false, None), Colour::Never);
    }
}
