use std::{fmt, ops::Range, str::FromStr};

use super::{
    AddressError,
    error::Mistake,
    parse::{fail, shows},
};

/// The name of a listening socket that systemd passes to the process: `FileDescriptorName=` of the socket
/// unit, and the unit's own name where there is none. See systemd.socket(5) and sd_listen_fds(3).
///
/// A name is up to 255 characters of ASCII that show, without `:` and `,`.
///
/// ```
/// use couplet_endpoint::{Address, SocketName};
///
/// let Address::ListenSystemd(name) = "listen:systemd:web".parse()? else { panic!() };
/// assert_eq!(name, "web".parse::<SocketName>()?);
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketName(Box<str>);

/// What systemd takes for a name.
const LONGEST: usize = 255;

// ===== impl SocketName =====

impl SocketName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads what follows `listen:systemd:` in `input`, from byte `at` on.
    pub(super) fn read(input: &str, at: usize) -> Result<Self, AddressError> {
        let name = &input[at..];
        let wrong = |span: Range<usize>, message: &str| {
            let right = "the `FileDescriptorName=` of a socket unit, as `listen:systemd:web`";
            fail(input, span, Mistake::new(message, right))
        };
        let all = at..input.len();
        if name.is_empty() {
            return wrong(all, "the name of a socket is missing");
        }
        if name.len() > LONGEST {
            return wrong(all, "a socket's name of more than 255 characters");
        }
        let bad = |c: char| !c.is_ascii_graphic() || [':', ','].contains(&c);
        if let Some((start, c)) = name.char_indices().find(|(_, c)| bad(*c)) {
            let span = at + start..at + start + c.len_utf8();
            return wrong(span, "a character that no name of a socket has");
        }
        Ok(Self(name.into()))
    }
}

impl FromStr for SocketName {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        shows(input)?;
        Self::read(input, 0)
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
