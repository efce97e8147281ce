//! The beginning of an HTTP/1 request (RFC 9112), up to the host.

use super::{
    look::{Look, Until},
    protocol::{Protocol, host},
};

/// The longest method: the registry's longest has 17 letters.
const MAX_METHOD: usize = 32;

pub(super) fn look(bytes: &[u8]) -> Look {
    // Before the first line is whole: a client that does not speak HTTP may never end one.
    let letters = bytes.iter().take(MAX_METHOD);
    let method = letters.take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-');
    match bytes.get(method.count()) {
        Some(b' ') if bytes[0] != b' ' => {}
        None if bytes.len() <= MAX_METHOD => return Look::Perhaps(Until::Len(bytes.len() + 1)),
        _ => return Look::Is(Protocol::Unknown),
    }
    let mut lines = Lines(bytes);
    let Some(request) = lines.next() else {
        return Look::Perhaps(Until::LineFeed);
    };
    let mut words = request.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Look::Is(Protocol::Unknown);
    };
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        return Look::Is(Protocol::Unknown);
    }
    // A host in the target counts before any field: section 3.2.2.
    if let Some(authority) = authority(method, target) {
        let host = host(without_port(authority));
        return Look::Is(Protocol::Http1 { host });
    }
    for line in &mut lines {
        if line.is_empty() {
            return Look::Is(Protocol::Http1 { host: None });
        }
        if let Some(value) = field(line, b"host") {
            let host = host(without_port(value));
            return Look::Is(Protocol::Http1 { host });
        }
    }
    Look::Begun(Until::LineFeed)
}

/// The lines that are complete, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// `example.org:443` of `CONNECT example.org:443`, `example.org` of `GET http://example.org/`.
fn authority<'a>(method: &[u8], target: &'a [u8]) -> Option<&'a [u8]> {
    if method == b"CONNECT" {
        return Some(target);
    }
    let scheme = target.windows(3).position(|three| three == b"://")?;
    if !target[..scheme].iter().all(u8::is_ascii_alphabetic) {
        return None; // `://` is in the path.
    }
    let rest = &target[scheme + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let authority = &rest[..end.unwrap_or(rest.len())];
    Some(
        authority
            .rsplit(|byte| *byte == b'@')
            .next()
            .unwrap_or(authority),
    )
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (is, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    is.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn without_port(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon.map(|at| authority.split_at(at)) {
        // Not within the brackets of an IPv6 address.
        Some((host, port)) if port[1..].iter().all(u8::is_ascii_digit) && !is_open(host) => host,
        _ => authority,
    }
}

fn is_open(host: &[u8]) -> bool {
    host.starts_with(b"[") && !host.ends_with(b"]")
}
