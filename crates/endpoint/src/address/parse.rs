//! Reads `[HOST:]PORT` and `HOST:PORT`.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{
    AddressError, DialAddr, Host, HostName, ListenAddr,
    error::Mistake,
    name,
    service::{self, Found},
};

/// What stands before the host and the port of QUIC.
pub(super) const QUIC: &str = "quic:";

/// The host part of an address: `*` or a host.
enum Here {
    Everywhere,
    Host(Host),
}

/// The two forms of an address without its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Listen,
    Dial,
}

/// An input, read as `[HOST:]PORT` or `HOST:PORT` from the byte `at` on.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) whole: &'a str,
    pub(super) at: usize,
    pub(super) form: Form,
}

pub(super) fn listen(input: &str) -> Result<ListenAddr, AddressError> {
    legible(input, "`[HOST:]PORT`")?;
    Input::bare(input, Form::Listen).listen()
}

pub(super) fn dial(input: &str) -> Result<DialAddr, AddressError> {
    legible(input, "`HOST:PORT`")?;
    Input::bare(input, Form::Dial).dial()
}

pub(super) fn host_name(input: &str) -> Result<(), AddressError> {
    name::check(input).or_else(|(span, mistake)| fail(input, span, mistake))
}

pub(super) fn fail<T>(
    input: &str,
    span: Range<usize>,
    mistake: Mistake,
) -> Result<T, AddressError> {
    Err(AddressError::new(input, span, mistake))
}

/// Refuses white space and control characters.
pub(super) fn shows(input: &str) -> Result<(), AddressError> {
    let blank = |c: char| c.is_whitespace();
    let control = |c: char| c.is_control();
    if let Some(start) = input.find(|c| blank(c) || control(c)) {
        let bad = &input[start..];
        let len = bad.find(|c| !blank(c) && !control(c)).unwrap_or(bad.len());
        let message = if bad[..len].chars().all(blank) {
            "an address has no white space"
        } else {
            "an address has no control character"
        };
        return fail(
            input,
            start..start + len,
            Mistake::new(message, "leave it out"),
        );
    }
    Ok(())
}

/// A `HOST:PORT` shows, and is not a URL.
pub(super) fn legible(input: &str, forms: &str) -> Result<(), AddressError> {
    shows(input)?;
    if let Some(end) = input.find("://") {
        let start = input[..end].rfind(':').map_or(0, |colon| colon + 1);
        let mistake = Mistake::new("a URL is not an address", forms);
        return fail(input, start..end + 3, mistake);
    }
    Ok(())
}

// ===== impl Form =====

impl Form {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Listen => "listen:",
            Self::Dial => "dial:",
        }
    }

    fn rest(self) -> &'static str {
        match self {
            Self::Listen => "[HOST:]PORT",
            Self::Dial => "HOST:PORT",
        }
    }
}

// ===== impl Input =====

impl<'a> Input<'a> {
    /// An input without a kind.
    pub(super) fn bare(whole: &'a str, form: Form) -> Self {
        Self { whole, at: 0, form }
    }

    pub(super) fn listen(self) -> Result<ListenAddr, AddressError> {
        let rest = self.rest();
        if rest.is_empty() {
            return self.fail(self.at..self.at, "a port is missing", self.right(None));
        }
        let number = rest.trim_start_matches(['+', '-']);
        if number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains([':', '.']) {
            return Ok(ListenAddr::loopback(self.port(self.at, "")?));
        }
        Ok(match self.host_and_port()? {
            (Here::Everywhere, port) => ListenAddr::everywhere(port),
            (Here::Host(host), port) => ListenAddr::new(host, port),
        })
    }

    pub(super) fn dial(self) -> Result<DialAddr, AddressError> {
        let rest = self.rest();
        let all = self.at..self.whole.len();
        if rest.is_empty() {
            return self.fail(all, "a host and a port are missing", self.right(None));
        }
        if rest.bytes().all(|b| b.is_ascii_digit()) {
            return self.fail(all, "a dialled address needs a host", self.right(None));
        }
        match self.host_and_port()? {
            (Here::Everywhere, _) => {
                let star = self.at..self.at + 1;
                self.fail(star, "`*` can't be dialled", self.right(None))
            }
            (Here::Host(host), port) => Ok(DialAddr::new(host, port)),
        }
    }

    fn host_and_port(self) -> Result<(Here, u16), AddressError> {
        let rest = self.rest();
        let (here, after) = match rest.strip_prefix('[') {
            Some(inner) => self.bracketed(inner)?,
            None => {
                if let Some(bracketed) = bracketed_ipv6(rest) {
                    let all = self.at..self.whole.len();
                    let right = self.right(Some(&bracketed));
                    return self.fail(all, "an IPv6 address goes in brackets", right);
                }
                let host = rest.split(':').next().unwrap_or_default();
                (self.plain(host)?, self.at + host.len())
            }
        };
        let written = &self.whole[self.at..after];
        match self.whole[after..].chars().next() {
            Some(':') => Ok((here, self.port(after + 1, written)?)),
            None => self.port_missing(after, written),
            Some(_) => {
                let end = after..self.whole.len();
                let right = self.right(Some(&format!("{written}:PORT")));
                self.fail(end, "only a port may follow the bracket", right)
            }
        }
    }

    /// The host in brackets, and the byte where the brackets end.
    fn bracketed(self, inner: &str) -> Result<(Here, usize), AddressError> {
        let start = self.at + 1;
        let Some(len) = inner.find(']') else {
            let right = self.right(Some("[IPV6]:PORT"));
            return self.fail(self.at..start, "the bracket is not closed", right);
        };
        let inner = &inner[..len];
        let (ip, scope) = match inner.split_once('%') {
            Some((ip, scope)) => (ip, Some(scope)),
            None => (inner, None),
        };
        let Ok(ip) = ip.parse::<Ipv6Addr>() else {
            let span = start..start + len;
            if host(inner).is_ok() {
                let right = format!("write `{inner}` without them");
                return self.fail(span, "brackets are for IPv6 addresses", right);
            }
            let message = format!("`{inner}` is not an IPv6 address");
            return self.fail(span, message, "an address is like `[2001:db8::1]`");
        };
        let number = scope.map_or(Ok(0), |scope| {
            let digits = scope.bytes().all(|b| b.is_ascii_digit());
            match digits {
                true => scope.parse().ok(),
                false => interface(scope),
            }
            .ok_or(scope)
        });
        match number {
            Ok(0) if ip.is_unicast_link_local() => {
                let message = format!("`{ip}` needs an interface: it is a link-local address");
                let right = format!("add the interface, like `[{ip}%eth0]` or `[{ip}%3]`");
                self.fail(start..start + len, message, right)
            }
            Ok(number) => Ok((Here::Host(Host::ipv6(ip, number)), start + len + 1)),
            Err(scope) => {
                let span = start + len - scope.len()..start + len;
                let message = format!("`{scope}` is not an interface of this machine");
                self.fail(span, message, "a name or a number that `ip link` shows")
            }
        }
    }

    /// A host without brackets.
    fn plain(self, text: &str) -> Result<Here, AddressError> {
        match (text, self.form) {
            ("*", _) => Ok(Here::Everywhere),
            ("", Form::Listen) => {
                let kind = self.prefix();
                let right = format!("`{kind}PORT` for this machine alone, `{kind}*:PORT` for all");
                self.fail(self.at..self.at, "the host is empty", right)
            }
            ("", Form::Dial) => self.fail(self.at..self.at, "the host is empty", self.right(None)),
            _ => host(text).map(Here::Host).or_else(|(span, mistake)| {
                let span = self.at + span.start..self.at + span.end;
                fail(self.whole, span, mistake)
            }),
        }
    }

    /// The port: all bytes from `at` on, after `host`.
    fn port(self, at: usize, host: &str) -> Result<u16, AddressError> {
        let text = &self.whole[at..];
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let all = at..self.whole.len();
        let range = match self.form {
            Form::Listen => "a port is a number from 0 to 65535",
            Form::Dial => "a port is a number from 1 to 65535",
        };
        match text[digits..].chars().next() {
            None if digits == 0 => self.port_missing(at, host),
            None => match text.parse() {
                Ok(0) if self.form == Form::Dial => {
                    self.fail(all, "port 0 can't be dialled", range)
                }
                Ok(port) => Ok(port),
                Err(_) => self.fail(all, format!("`{text}` is too big for a port"), range),
            },
            _ if service::is_name(text) => self.service(all, text, range),
            Some(c) if digits == 0 || c.is_alphanumeric() || "+-._".contains(c) => {
                self.fail(all, format!("`{text}` is not a port"), range)
            }
            Some(_) => {
                let right = format!("end the address after `{}`", &text[..digits]);
                self.fail(at + digits..all.end, "nothing may follow the port", right)
            }
        }
    }

    /// The port of a service's name.
    fn service(self, span: Range<usize>, name: &str, range: &str) -> Result<u16, AddressError> {
        let file = service::FILE;
        match service::port(name) {
            Found::Port(port) => Ok(port),
            Found::Unknown(Some(near)) => {
                let message = format!("`{name}` is no service of {file}");
                self.fail(span, message, format!("did you mean `{near}`?"))
            }
            Found::Unknown(None) => {
                let message = format!("`{name}` is no service of {file}");
                self.fail(span, message, format!("{range}, or a service's name"))
            }
            Found::NoNames => {
                let message = format!("`{name}` can't be looked up: this machine has no {file}");
                self.fail(span, message, range)
            }
        }
    }

    fn port_missing<T>(self, at: usize, host: &str) -> Result<T, AddressError> {
        let right = self.right(Some(&format!("{host}:PORT")));
        self.fail(at..at, "a port is missing", right)
    }

    fn rest(self) -> &'a str {
        &self.whole[self.at..]
    }

    /// The kind with its colon, or nothing.
    fn prefix(self) -> &'a str {
        match &self.whole[..self.at] {
            // The colon may be missing.
            written if written.is_empty() || written.ends_with(':') => written,
            _ => self.form.kind(),
        }
    }

    /// The hint: the form that would be right.
    fn right(self, rest: Option<&str>) -> String {
        format!("`{}{}`", self.prefix(), rest.unwrap_or(self.form.rest()))
    }

    fn fail<T>(
        self,
        span: Range<usize>,
        message: impl AsRef<str>,
        right: impl AsRef<str>,
    ) -> Result<T, AddressError> {
        fail(self.whole, span, Mistake::new(message, right))
    }
}

/// The number of the interface of this name.
#[cfg(target_os = "linux")]
fn interface(name: &str) -> Option<u32> {
    use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    name_to_index(any, name).ok()
}

#[cfg(not(target_os = "linux"))]
fn interface(_: &str) -> Option<u32> {
    None
}

fn host(text: &str) -> Result<Host, (Range<usize>, Mistake)> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    name::check(text)?;
    Ok(Host::Name(HostName::checked(text)))
}

/// The probable meaning of an IPv6 address without brackets, with or without a port.
fn bracketed_ipv6(text: &str) -> Option<String> {
    let is_ipv6 = |text: &str| {
        let ip = text.split('%').next().unwrap_or_default();
        ip.parse::<Ipv6Addr>().is_ok()
    };
    match text.rsplit_once(':') {
        // All addresses, and a port; `::1` is an address of its own.
        Some((":", port)) if port != "1" && port.parse::<u16>().is_ok() => {
            Some(format!("[::]:{port}"))
        }
        Some((ip, port)) if is_ipv6(ip) && port.parse::<u16>().is_ok() => {
            Some(format!("[{ip}]:{port}"))
        }
        _ if is_ipv6(text) => Some(format!("[{text}]:PORT")),
        Some((ip, _)) if is_ipv6(ip) => Some(format!("[{ip}]:PORT")),
        _ => None,
    }
}
