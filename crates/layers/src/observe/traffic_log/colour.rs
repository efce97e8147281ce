use std::{env, ffi::OsStr, io::IsTerminal};

use couplet_endpoint::Side;

/// When a traffic log is coloured: a colour for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Colour {
    /// Where it goes to the standard output or error, that is a terminal, and the environment
    /// doesn't ask for [`NO_COLOR`](https://no-color.org).
    #[default]
    Auto,
    /// In any writer. `tracing` is never given any.
    Always,
    /// Nowhere.
    Never,
}

// ===== impl Colour =====

impl Colour {
    /// What [`Auto`](Self::Auto) comes to for this stream: one of the other two.
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

    /// What goes before and after a line of the direction from that side.
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
