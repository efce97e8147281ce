//! `route=@FILE`: the address to dial, by the protocol and host that the client asks for.

use std::{fmt, fs, net::IpAddr};

use couplet_connector::{
    endpoint::{AddressError, DialAddr, HostName, UnixAddr},
    layers::Protocol,
};

use crate::{
    credential,
    mistake::{Mistake, alternatives},
};

/// The lines of a file, each a pattern and a target; the first that fits counts.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) path: String,
    lines: Vec<(Pattern, Target)>,
}

/// Where a line leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Dial(DialAddr),
    Unix(UnixAddr),
    Refuse,
}

#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    Any,
    Of(Kind, Hosts),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Tls,
    Http,
    Http2,
    Ssh,
    Silent,
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    All,
    One(String),
    /// What stands behind `*`, with its dot: all names that end so.
    Below(String),
}

const PATTERNS: &[&str] = &[
    "tls",
    "tls:HOST",
    "tls:*.HOST",
    "http",
    "http:HOST",
    "http:*.HOST",
    "http2",
    "ssh",
    "silent",
    "unknown",
    "*",
];

const TARGET: &str = "`HOST:PORT`, `unix:PATH` or `refuse`";

// ===== impl Routes =====

impl Routes {
    /// Reads a file. A mistake is in a line of it.
    pub(crate) fn read(path: &str) -> Result<Self, Mistake> {
        let text = fs::read_to_string(&*credential::path(path)?).map_err(|error| {
            let message = format!("`{path}` can't be read: {error}");
            Mistake::new(message, "a file of routes, `PATTERN HOST:PORT` a line")
        })?;
        let lines = parse(&text).map_err(|mistake| mistake.within(path))?;
        Ok(Self {
            path: path.to_owned(),
            lines,
        })
    }

    /// Where the first line leads that this is for.
    pub(crate) fn find(&self, protocol: &Protocol) -> Option<&Target> {
        let mut lines = self.lines.iter();
        let line = lines.find(|(pattern, _)| pattern.fits(protocol));
        line.map(|(_, target)| target)
    }
}

fn parse(text: &str) -> Result<Vec<(Pattern, Target)>, Mistake> {
    let mut lines: Vec<(Pattern, Target)> = Vec::new();
    let mut numbers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let in_line = |mistake: Mistake| {
            let column = mistake.column();
            mistake.within(format!("line {number}, column {column}"))
        };
        let Some(new) = parse_line(line).map_err(in_line)? else {
            continue;
        };
        if let Some(before) = lines.iter().position(|(old, _)| old.covers(&new.0)) {
            let message = format!(
                "the route is never taken: line {} matches all of its clients",
                numbers[before]
            );
            let mistake = Mistake::new(message, format!("put it before line {}", numbers[before]));
            return Err(in_line(mistake.at(line, 0..line.trim_end().len())));
        }
        lines.push(new);
        numbers.push(number);
    }
    if lines.is_empty() {
        let hint = format!(
            "a line is a pattern, {}, then {TARGET}",
            alternatives(PATTERNS)
        );
        return Err(Mistake::new("the file has no route in it", hint));
    }
    Ok(lines)
}

fn parse_line(line: &str) -> Result<Option<(Pattern, Target)>, Mistake> {
    let content = line.split('#').next().unwrap_or_default();
    let span = |word: &str| {
        let start = word.as_ptr() as usize - line.as_ptr() as usize;
        start..start + word.len()
    };
    let mut words = content.split_whitespace();
    let Some(pattern) = words.next() else {
        return Ok(None);
    };
    let parsed = Pattern::parse(pattern).map_err(|mistake| mistake.at(line, span(pattern)))?;
    let Some(target) = words.next() else {
        let end = content.trim_end().len();
        let message = format!("`{pattern}` has no target");
        return Err(Mistake::new(message, TARGET).at(line, end..end));
    };
    if let Some(surplus) = words.next() {
        let message = format!("`{surplus}` is one word too many");
        return Err(Mistake::new(message, "a pattern and a target").at(line, span(surplus)));
    }
    let target = match target {
        "refuse" => Target::Refuse,
        _ if target.starts_with("unix:") => {
            Target::Unix(target.parse().map_err(|error: AddressError| {
                Mistake::new(error.message(), error.hint()).at(line, span(target))
            })?)
        }
        _ => Target::Dial(target.parse().map_err(|_| {
            let message = format!("`{target}` is not a target");
            Mistake::unknown(message, target, &["HOST:PORT", "unix:PATH", "refuse"])
                .at(line, span(target))
        })?),
    };
    Ok(Some((parsed, target)))
}

// ===== impl Pattern =====

impl Pattern {
    fn parse(text: &str) -> Result<Self, Mistake> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (name, host) = match text.split_once(':') {
            Some((name, host)) => (name, Some(host)),
            None => (text, None),
        };
        let kind = match name {
            "tls" => Kind::Tls,
            "http" => Kind::Http,
            "http2" => Kind::Http2,
            "ssh" => Kind::Ssh,
            "silent" => Kind::Silent,
            "unknown" => Kind::Unknown,
            _ => {
                let message = format!("`{text}` is not a pattern");
                return Err(Mistake::unknown(message, name, PATTERNS));
            }
        };
        let hosts = match host {
            None => Hosts::All,
            Some(_) if !matches!(kind, Kind::Tls | Kind::Http) => {
                let message = format!("a client that speaks `{name}` names no host");
                return Err(Mistake::new(message, format!("`{name}` alone")));
            }
            Some(host) => Hosts::parse(host).ok_or_else(|| {
                let hint = "a name, `*.` and a name, or an IP address";
                Mistake::new(format!("`{host}` is not a host"), hint)
            })?,
        };
        Ok(Self::Of(kind, hosts))
    }

    fn fits(&self, protocol: &Protocol) -> bool {
        let Self::Of(kind, hosts) = self else {
            return true;
        };
        let is = match protocol {
            Protocol::Tls(_) => Kind::Tls,
            Protocol::Http1 { .. } => Kind::Http,
            Protocol::Http2 => Kind::Http2,
            Protocol::Ssh => Kind::Ssh,
            Protocol::Silent => Kind::Silent,
            _ => Kind::Unknown,
        };
        is == *kind && hosts.fits(protocol.host())
    }

    /// Is all that fits the other caught by this one?
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (Self::Of(kind, hosts), Self::Of(of, others)) => kind == of && hosts.cover(others),
        }
    }
}

// ===== impl Hosts =====

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::One(ip.to_string()));
        }
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        HostName::new(&*name).ok()?;
        Some(match below {
            Some(_) => Self::Below(format!(".{name}")),
            None => Self::One(name),
        })
    }

    fn fits(&self, host: Option<&str>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (_, None) => false,
            (Self::One(name), Some(host)) => name == host,
            (Self::Below(end), Some(host)) => host.len() > end.len() && host.ends_with(end),
        }
    }

    fn cover(&self, other: &Self) -> bool {
        match other {
            Self::All => *self == Self::All,
            Self::One(name) => self.fits(Some(name)),
            Self::Below(end) => match self {
                Self::All => true,
                Self::One(_) => false,
                Self::Below(own) => end.ends_with(own),
            },
        }
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn http(host: Option<&str>) -> Protocol {
        Protocol::Http1 {
            host: host.map(Into::into),
        }
    }

    #[test]
    fn the_first_route_that_matches_wins() {
        let text = "\
            # comment\n\
            http:Www.Example.org. a:1\n\
            http:*.example.org    b:2 # more\n\
            \n\
            http:192.0.2.1        c:3\n\
            http                  d:4\n\
            ssh                   e:5\n\
            silent                refuse\n";
        let routes = Routes {
            path: String::new(),
            lines: parse(text).unwrap(),
        };
        let targets: Vec<_> = routes.lines.iter().map(|(_, target)| target).collect();
        assert_eq!(targets[5], &Target::Refuse);
        for (protocol, line) in [
            (http(Some("www.example.org")), Some(0)),
            (http(Some("a.b.example.org")), Some(1)),
            (http(Some("example.org")), Some(3)),
            (http(Some("badexample.org")), Some(3)),
            (http(Some("192.0.2.1")), Some(2)),
            (http(None), Some(3)),
            (Protocol::Ssh, Some(4)),
            (Protocol::Silent, Some(5)),
            (Protocol::Http2, None),
            (Protocol::Unknown, None),
        ] {
            let expected: Option<&Target> = line.map(|line: usize| targets[line]);
            assert_eq!(routes.find(&protocol), expected, "{protocol}");
        }
    }

    #[test]
    fn a_mistake_in_a_routes_file_names_its_line() {
        for (text, part) in [
            ("", "the file has no route"),
            (
                "ssh a:1\n  tsl b:2",
                "line 2, column 3: `tsl` is not a pattern: did you mean `tls`?",
            ),
            ("ssh a:1\nhttp\t", "line 2, column 5: `http` has no target"),
            ("ssh a", "line 1, column 5: `a` is not a target"),
            (
                "ssh a:1 b:2",
                "line 1, column 9: `b:2` is one word too many",
            ),
            (
                "ssh:host a:1",
                "line 1, column 1: a client that speaks `ssh`",
            ),
            ("tls:a_-.b a:1", "line 1, column 1: `a_-.b` is not a host"),
            ("tls:*.*.b a:1", "line 1, column 1: `*.*.b` is not a host"),
            (
                "* a:1\n\nssh b:2",
                "line 3, column 1: the route is never taken: line 1",
            ),
            (
                "tls a:1\ntls:b c:1",
                "line 2, column 1: the route is never taken: line 1",
            ),
            (
                "tls:*.b a:1\ntls:a.b c:1",
                "line 2, column 1: the route is never taken: line 1",
            ),
            (
                "tls:*.b a:1\ntls:*.a.B c:1",
                "line 2, column 1: the route is never taken: line 1",
            ),
            (
                "tls:B a:1\ntls:b. c:1",
                "line 2, column 1: the route is never taken: line 1",
            ),
        ] {
            let wrong = wrong(text);
            assert!(wrong.starts_with(part), "{text:?}: {wrong}");
        }
        assert!(parse("tls:*.b a:1\ntls:b c:1\ntls d:1\nhttp:a.b e:1\n* f:1").is_ok());
    }
}
