use std::{fmt, str::FromStr};

use super::{AddressError, DialAddr, UnixAddr, error::Mistake, parse::fail};

/// A server to dial, by its TCP port or its Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddr {
    /// `HOST:PORT`.
    Tcp(DialAddr),
    /// `unix:PATH`, or `unix:@NAME`.
    Unix(UnixAddr),
}

/// What stands between several.
pub(super) const SEPARATOR: char = '|';

const UNIX: &str = "unix:";

// ===== impl TargetAddr =====

impl TargetAddr {
    /// Reads what follows `dial:` in `input`, from byte `at` on: two or more.
    pub(super) fn read_several(input: &str, at: usize) -> Result<Box<[Self]>, AddressError> {
        let mut all = Vec::new();
        let mut start = at;
        for text in input[at..].split(SEPARATOR) {
            let span = start..start + text.len();
            start = span.end + SEPARATOR.len_utf8();
            if text.is_empty() {
                let right = "`dial:HOST:PORT|HOST:PORT`";
                return fail(input, span, Mistake::new("a target is missing", right));
            }
            let target: Self = text.parse().map_err(|error: AddressError| {
                let within = error.span();
                let place = span.start + within.start..span.start + within.end;
                AddressError::of(input, place, error.message(), error.hint())
            })?;
            if all.contains(&target) {
                let mistake = Mistake::new("the target is given twice", "give it once");
                return fail(input, span, mistake);
            }
            all.push(target);
        }
        Ok(all.into())
    }
}

impl FromStr for TargetAddr {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        let alone = [super::vsock::KIND, super::parse::QUIC, super::srv::KIND];
        let is_meant = |kind: &&str| match input.strip_prefix(*kind) {
            Some(rest) => *kind != super::srv::KIND || super::srv::is_meant(rest),
            None => false,
        };
        if let Some(kind) = alone.into_iter().find(is_meant) {
            let message = format!("`{kind}` is for one target alone");
            let right = format!("`dial:{input}`; several are `HOST:PORT` or `unix:PATH`");
            return fail(input, 0..kind.len(), Mistake::new(message, right));
        }
        match input.starts_with(UNIX) {
            true => UnixAddr::read(input, UNIX.len()).map(Self::Unix),
            false => input.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for TargetAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    #[test]
    fn several_targets_are_read_and_shown() {
        let text = "dial:a:1|[::1]:2|unix:/run/x|unix:@y";
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
        let Address::DialSeveral(targets) = address else {
            panic!("{address}");
        };
        assert_eq!(targets.len(), 4);
        assert!(matches!(&targets[2], TargetAddr::Unix(addr) if addr.as_path().is_some()));
    }

    #[test]
    fn a_mistake_is_shown_at_its_target() {
        for (text, at, message) in [
            ("dial:a:1|", 9..9, "a target is missing"),
            ("dial:|a:1", 5..5, "a target is missing"),
            ("dial:a:1|a:1", 9..12, "the target is given twice"),
            ("dial:a:1|b", 10..10, "a port is missing"),
            ("dial:a:x|b:1", 7..8, "`x` is no service of /etc/services"),
            ("dial:a:1|unix:", 14..14, "a Unix socket needs a name"),
            (
                "dial:vsock:3:22|vsock:4:22",
                5..11,
                "`vsock:` is for one target alone",
            ),
            (
                "dial:a:1|quic:b:2",
                9..14,
                "`quic:` is for one target alone",
            ),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!((error.span(), error.message()), (at, message), "{text}");
        }
    }
}
