//! `route=@FILE`: what is dialled, by what the client speaks and asks for.

use std::{fmt, fs, net::IpAddr, ops::Range};

use couplet_connector::{
    endpoint::{DialAddr, HostName},
    layers::Protocol,
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

/// What is wrong in a line, and where.
struct Mistake(Range<usize>, String);

const PATTERNS: &str = "`tls`, `tls:HOST`, `http`, `http:HOST`, `http2`, `ssh`, `silent`, \
                        `unknown` or `*`, where HOST may begin with `*.`";

// ===== impl Routes =====

impl Routes {
    /// Reads a file; what is wrong with it is a message and, behind `: `, a hint.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("`{path}` can't be read: {error}"))?;
        let lines = parse(&text).map_err(|(line, column, wrong)| {
            format!("`{path}`, line {line}, column {column}, {wrong}")
        })?;
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

fn parse(text: &str) -> Result<Vec<(Pattern, Target)>, (usize, usize, String)> {
    let mut lines: Vec<(Pattern, Target)> = Vec::new();
    let mut numbers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let at = |Mistake(span, wrong): Mistake| {
            let column = line[..span.start].chars().count() + 1;
            (number, column, wrong)
        };
        let Some(new) = parse_line(line).map_err(at)? else {
            continue;
        };
        if let Some(before) = lines.iter().position(|(old, _)| old.covers(&new.0)) {
            let wrong = format!(
                "is never reached: line {} is for all of these",
                numbers[before]
            );
            return Err((number, 1, wrong));
        }
        lines.push(new);
        numbers.push(number);
    }
    if lines.is_empty() {
        return Err((
            1,
            1,
            format!("there is no route: {PATTERNS}, then HOST:PORT or `refuse`"),
        ));
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
    let wrong = |word: &str, wrong: String| Mistake(span(word), wrong);
    let parsed = Pattern::parse(pattern).map_err(|message| wrong(pattern, message))?;
    let Some(target) = words.next() else {
        let end = content.trim_end().len();
        let message = format!("`{pattern}` has no target: HOST:PORT or `refuse`");
        return Err(Mistake(end..end, message));
    };
    if let Some(surplus) = words.next() {
        let message = format!("`{surplus}` is one too many: a pattern and a target");
        return Err(wrong(surplus, message));
    }
    let target = match target {
        "refuse" => Target::Refuse,
        _ => Target::Dial(target.parse().map_err(|_| {
            let message = format!("`{target}` is not a target: HOST:PORT or `refuse`");
            wrong(target, message)
        })?),
    };
    Ok(Some((parsed, target)))
}

// ===== impl Pattern =====

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
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
            _ => return Err(format!("`{text}` is not a pattern: {PATTERNS}")),
        };
        let hosts = match host {
            None => Hosts::All,
            Some(_) if !matches!(kind, Kind::Tls | Kind::Http) => {
                return Err(format!("`{name}` asks for no host: {PATTERNS}"));
            }
            Some(host) => Hosts::parse(host).ok_or_else(|| {
                format!("`{host}` is not a host: a name, `*.` and a name, or an address")
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
        let (line, column, wrong) = parse(text).unwrap_err();
        format!("{line}:{column} {wrong}")
    }

    fn http(host: Option<&str>) -> Protocol {
        Protocol::Http1 {
            host: host.map(Into::into),
        }
    }

    #[test]
    fn the_first_that_fits_counts() {
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
    fn a_mistake_has_a_line_and_a_column() {
        for (text, part) in [
            ("", "1:1 there is no route"),
            ("ssh a:1\n  tsl b:2", "2:3 `tsl` is not a pattern"),
            ("ssh a:1\nhttp\t", "2:5 `http` has no target"),
            ("ssh a", "1:5 `a` is not a target"),
            ("ssh a:1 b:2", "1:9 `b:2` is one too many"),
            ("ssh:host a:1", "1:1 `ssh` asks for no host"),
            ("tls:a_-.b a:1", "1:1 `a_-.b` is not a host"),
            ("tls:*.*.b a:1", "1:1 `*.*.b` is not a host"),
            ("* a:1\n\nssh b:2", "3:1 is never reached: line 1"),
            ("tls a:1\ntls:b c:1", "2:1 is never reached: line 1"),
            ("tls:*.b a:1\ntls:a.b c:1", "2:1 is never reached: line 1"),
            ("tls:*.b a:1\ntls:*.a.B c:1", "2:1 is never reached: line 1"),
            ("tls:B a:1\ntls:b. c:1", "2:1 is never reached: line 1"),
        ] {
            let wrong = wrong(text);
            assert!(wrong.starts_with(part), "{text:?}: {wrong}");
        }
        assert!(parse("tls:*.b a:1\ntls:b c:1\ntls d:1\nhttp:a.b e:1\n* f:1").is_ok());
    }
}
