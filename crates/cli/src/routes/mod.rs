//! `route=@FILE`: where a client goes, by the protocol and host that the client asks for.

mod hosts;
mod pattern;

use std::{fmt, fs};

use couplet_connector::endpoint::{AddressError, DialAddr, Info, TargetAddr, UnixAddr};

use self::pattern::{PATTERNS, Pattern};
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
    /// To one of several, as the side's `balance` says.
    Several(Vec<TargetAddr>),
    /// To another relay of the file, with a stack of its own.
    Relay(String),
    Refuse,
}

const TARGET: &str =
    "`HOST:PORT`, `unix:PATH`, several with `|` between them, `relay:NAME` or `refuse`";

/// What stands before the name of a relay.
const RELAY: &str = "relay:";

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

    /// Where the first line leads that this client fits.
    pub(crate) fn find(&self, client: &Info) -> Option<&Target> {
        let mut lines = self.lines.iter();
        let line = lines.find(|(pattern, _)| pattern.fits(client));
        line.map(|(_, target)| target)
    }

    /// Does a line lead to one of these?
    pub(crate) fn leads_to(&self, several: &[TargetAddr]) -> bool {
        let mut targets = self.lines.iter().map(|(_, target)| target);
        targets.any(|target| matches!(target, Target::Several(these) if these == several))
    }

    /// The relays that lines lead to.
    pub(crate) fn relays(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|(_, target)| match target {
            Target::Relay(name) => Some(&**name),
            _ => None,
        })
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
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
    let mut parsed = Pattern::parse(pattern).map_err(|mistake| mistake.at(line, span(pattern)))?;
    let mut rest: Vec<_> = words.collect();
    let Some(target) = rest.pop() else {
        let end = content.trim_end().len();
        let message = format!("`{pattern}` has no target");
        return Err(Mistake::new(message, TARGET).at(line, end..end));
    };
    for condition in rest {
        let narrowed = parsed.narrow(condition);
        narrowed.map_err(|mistake| mistake.at(line, span(condition)))?;
    }
    let target = Target::parse(target).map_err(|mistake| mistake.at(line, span(target)))?;
    Ok(Some((parsed, target)))
}

// ===== impl Target =====

impl Target {
    fn parse(text: &str) -> Result<Self, Mistake> {
        if text == "refuse" {
            return Ok(Self::Refuse);
        }
        if text.contains('|') {
            return Self::several(text);
        }
        if text.starts_with("unix:") {
            let addr = text
                .parse()
                .map_err(|error: AddressError| Mistake::new(error.message(), error.hint()))?;
            return Ok(Self::Unix(addr));
        }
        match text.strip_prefix(RELAY) {
            Some("") => Err(Mistake::new("`relay:` names no relay", "`relay:NAME`")),
            Some(name) => Ok(Self::Relay(name.to_owned())),
            None => text.parse().map(Self::Dial).map_err(|_| {
                let message = format!("`{text}` is not a target");
                let known = ["HOST:PORT", "unix:PATH", "relay:NAME", "refuse"];
                Mistake::unknown(message, text, &known)
            }),
        }
    }
}

impl Target {
    fn several(text: &str) -> Result<Self, Mistake> {
        let mut targets = Vec::<TargetAddr>::new();
        for one in text.split('|') {
            let target = one.parse().map_err(|_| {
                let message = format!("`{one}` is not one of several targets");
                Mistake::new(message, "`HOST:PORT` or `unix:PATH`, with `|` between them")
            })?;
            if targets.contains(&target) {
                let message = format!("`{one}` stands there twice");
                return Err(Mistake::new(message, "each target once"));
            }
            targets.push(target);
        }
        Ok(Self::Several(targets))
    }
}

#[cfg(test)]
mod tests {
    use couplet_connector::endpoint::Origin;
    use couplet_protocols::Protocol;

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
            let mut client = Info::new(Origin::Accepted);
            client.extensions.insert(protocol.clone());
            assert_eq!(routes.find(&client), expected, "{protocol}");
        }
    }

    #[test]
    fn a_route_may_be_for_some_networks_and_some_addresses_alone() {
        let text = "\
            ssh from=10.0.0.0/8+192.0.2.0/24 relay:inner\n\
            ssh to=192.0.2.1                 relay:outer\n\
            *   from=::1                     refuse\n";
        let routes = Routes {
            path: String::new(),
            lines: parse(text).unwrap(),
        };
        assert_eq!(routes.relays().collect::<Vec<_>>(), ["inner", "outer"]);
        for (peer, local, line) in [
            ("10.1.1.1:1", "10.0.0.1:22", Some(0)),
            ("[::ffff:192.0.2.9]:1", "192.0.2.1:22", Some(0)),
            ("198.51.100.1:1", "[::ffff:192.0.2.1]:22", Some(1)),
            ("198.51.100.1:1", "192.0.2.2:22", None),
            ("[::1]:1", "[::1]:22", Some(2)),
        ] {
            let mut client = Info::new(Origin::Accepted);
            client.extensions.insert(Protocol::Ssh);
            client.peer = Some(peer.parse().unwrap());
            client.local = Some(local.parse().unwrap());
            let expected = line.map(|line: usize| &routes.lines[line].1);
            assert_eq!(routes.find(&client), expected, "{peer} {local}");
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
            ("ssh a:1 b:2", "line 1, column 5: `a:1` is not a condition"),
            (
                "ssh form=::1 b:2",
                "line 1, column 5: `form` is not a condition: `alpn=PROTOCOL`, `from=NETWORK` or",
            ),
            (
                "ssh from= b:2",
                "line 1, column 5: `from=` is not a condition",
            ),
            ("ssh from=x b:2", "line 1, column 5: `x` is not a network"),
            (
                "ssh to=::/0 b:2",
                "line 1, column 5: `::/0` is not an address",
            ),
            (
                "tls alpn=h2 alpn=h3 b:2",
                "line 1, column 13: `alpn` is there twice",
            ),
            (
                "http alpn=h2 b:2",
                "line 1, column 6: a client that speaks no TLS",
            ),
            (
                "ssh a:1|relay:b",
                "line 1, column 5: `relay:b` is not one of several targets",
            ),
            ("ssh a:1|a:1", "line 1, column 5: `a:1` stands there twice"),
            ("ssh relay:", "line 1, column 5: `relay:` names no relay"),
            (
                "tls a:1\ntls alpn=h2 b:2",
                "line 2, column 1: the route is never taken: line 1",
            ),
            (
                "ssh from=::1 a:1\nssh to=::1 from=::1 b:2",
                "line 2, column 1: the route is never taken: line 1",
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
        assert!(
            parse("tls alpn=h2 a:1\ntls alpn=h3 a:2\ntls b:1\nssh to=::1 a:1\nssh a:1").is_ok()
        );
    }
}
