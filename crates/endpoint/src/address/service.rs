//! The names of ports: services(5).

use std::fs;

/// Where the system keeps them.
pub(super) const FILE: &str = "/etc/services";

/// What the system knows of a name.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Port(u16),
    /// None of that name; a name that is near.
    Unknown(Option<String>),
    /// The system has no names.
    NoNames,
}

/// Can it be the name of a service (RFC 6335, section 5.1)? Underscores, dots and plus signs are tolerated, as
/// some of the system's have them.
pub(super) fn is_name(text: &str) -> bool {
    let foreign = |c: char| !c.is_ascii_alphanumeric() && !"-_.+".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.contains(|c: char| c.is_ascii_alphabetic())
        && !text.contains(foreign)
}

/// The port of this name for TCP.
pub(super) fn port(name: &str) -> Found {
    match fs::read_to_string(FILE) {
        Ok(table) => look_up(&table, name),
        Err(_) => Found::NoNames,
    }
}

fn look_up(table: &str, name: &str) -> Found {
    let all = || table.lines().filter_map(entry).flat_map(Entry::names);
    if let Some((_, port)) = all().find(|(known, _)| *known == name) {
        return Found::Port(port);
    }
    let lower = name.to_ascii_lowercase();
    let near = all().map(|(known, _)| (strsim::damerau_levenshtein(known, &lower), known));
    let farthest = match name.len() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    let nearest = near.filter(|(distance, _)| *distance <= farthest).min();
    Found::Unknown(nearest.map(|(_, name)| name.to_owned()))
}

/// A line: `name 22/tcp alias …`.
struct Entry<'a> {
    line: &'a str,
    port: u16,
}

/// `None` where the line has no port of TCP.
fn entry(line: &str) -> Option<Entry<'_>> {
    let line = line.split('#').next()?;
    let (port, protocol) = line.split_ascii_whitespace().nth(1)?.split_once('/')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (protocol == "tcp").then_some(Entry { line, port })
}

impl<'a> Entry<'a> {
    /// Its name and its other names.
    fn names(self) -> impl Iterator<Item = (&'a str, u16)> {
        let words = self.line.split_ascii_whitespace().enumerate();
        words.filter_map(move |(at, word)| (at != 1).then_some((word, self.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# services\n\
        tftp\t69/udp\n\
        http  80/tcp  www # WorldWideWeb\n\
        ssh 22/tcp\n\
        broken\n\
        worse x/tcp\n\
        none 0/tcp\n\
        postgresql 5432/tcp postgres\n";

    #[test]
    fn a_name_or_another_name_of_tcp_has_its_port() {
        for (name, port) in [("ssh", 22), ("www", 80), ("postgres", 5432)] {
            assert_eq!(look_up(TABLE, name), Found::Port(port));
        }
        for name in ["tftp", "WorldWideWeb", "broken", "none", "80/tcp"] {
            assert!(matches!(look_up(TABLE, name), Found::Unknown(_)), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_told() {
        for (name, near) in [
            ("sshh", Some("ssh")),
            ("HTTP", Some("http")),
            ("postgre", Some("postgres")),
            ("gopher", None),
        ] {
            let near = near.map(str::to_owned);
            assert_eq!(look_up(TABLE, name), Found::Unknown(near), "{name}");
        }
    }

    #[test]
    fn a_name_begins_with_a_letter_or_a_digit_and_has_a_letter() {
        for name in ["ssh", "3com-tsmux", "x11", "iso_tsap", "z39.50"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "+22", "-1", "22", "a b", "a/b", "ä"] {
            assert!(!is_name(text), "{text}");
        }
    }
}
