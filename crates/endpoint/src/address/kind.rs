//! Reads the kind of an address, `listen:` or `dial:`.

use super::{
    Address, AddressError, ExecAddr, SocketName, SrvName, TargetAddr, UnixAddr, VsockAddr,
    error::Mistake,
    parse::{Form, Input, QUIC, fail, legible, shows},
};

const FORMS: &str = "`listen:[HOST:]PORT`, `dial:HOST:PORT`, `listen:unix:PATH`, `dial:unix:PATH` or `exec:PROGRAM`";

/// Words before a colon that are a kind of address elsewhere, and not a host, with what they are here.
const FOREIGN_KINDS: [(&str, Option<Form>); 14] = [
    ("bind", Some(Form::Listen)),
    ("connect", Some(Form::Dial)),
    ("tcp", Some(Form::Dial)),
    ("tcp4", Some(Form::Dial)),
    ("tcp6", Some(Form::Dial)),
    ("tcp-connect", Some(Form::Dial)),
    ("tcp-listen", Some(Form::Listen)),
    ("tcp4-listen", Some(Form::Listen)),
    ("tcp6-listen", Some(Form::Listen)),
    ("tcp-l", Some(Form::Listen)),
    ("ssl", None),
    ("tls", None),
    ("udp", None),
    ("unix", None),
];

/// What standard input and output are called elsewhere.
const FOREIGN_STDIO: [&str; 3] = ["-", "stdin", "stdout"];

/// What stands behind the kind, before the name of a Unix socket.
const UNIX: &str = "unix:";

/// What stands behind `listen:`, before the name of a socket that systemd passes.
pub(super) const SYSTEMD: &str = "systemd:";

/// What stands behind `dial:` where the clients say the target.
pub(super) const ASKED: &str = "asked";

/// What stands behind `listen:` where other relays of the process hand connections over.
pub(super) const ROUTES: &str = "routes";

pub(super) fn address(input: &str) -> Result<Address, AddressError> {
    if input.is_empty() {
        return fail(input, 0..0, Mistake::new("an address is missing", FORMS));
    }
    if input == "stdio" {
        return Ok(Address::Stdio);
    }
    if input.starts_with(super::exec::KIND) {
        return ExecAddr::read(input).map(Address::Exec);
    }
    shows(input)?;
    let (kind, rest) = input.split_once(':').unwrap_or((input, ""));
    if kind == "dial" && rest.contains(super::target::SEPARATOR) {
        legible(input, FORMS)?;
        let at = input.len() - rest.len();
        return TargetAddr::read_several(input, at).map(Address::DialSeveral);
    }
    if rest.starts_with(UNIX) {
        let name = || UnixAddr::read(input, input.len() - rest.len() + UNIX.len());
        match kind {
            "listen" => return name().map(Address::ListenUnix),
            "dial" => return name().map(Address::DialUnix),
            _ => {}
        }
    }
    if kind == "listen" && rest.starts_with(SYSTEMD) {
        let at = input.len() - rest.len() + SYSTEMD.len();
        return SocketName::read(input, at).map(Address::ListenSystemd);
    }
    if rest.starts_with(super::vsock::KIND) {
        let at = input.len() - rest.len() + super::vsock::KIND.len();
        match kind {
            "listen" => return VsockAddr::read(input, at, true).map(Address::ListenVsock),
            "dial" => return VsockAddr::read(input, at, false).map(Address::DialVsock),
            _ => {}
        }
    }
    if kind == "dial"
        && let Some(name) = rest.strip_prefix(super::srv::KIND)
        && super::srv::is_meant(name)
    {
        return SrvName::read(input, input.len() - name.len()).map(Address::DialSrv);
    }
    if rest.starts_with(['/', '@']) && matches!(kind, "listen" | "dial") && !rest.starts_with("//")
    {
        let span = input.len() - rest.len()..input.len();
        let right = format!("`{kind}:{UNIX}{rest}`");
        return fail(
            input,
            span,
            Mistake::new("a Unix socket needs `unix:`", right),
        );
    }
    legible(input, &url(input).unwrap_or(FORMS.to_owned()))?;
    // A host of that name is `quic.`, with the dot that ends a whole name.
    let is_quic = rest.starts_with(QUIC);
    let of_form = |form| Input {
        whole: input,
        at: input.len() - rest.len() + if is_quic { QUIC.len() } else { 0 },
        form,
    };
    match kind {
        "listen" if is_quic => of_form(Form::Listen).listen().map(Address::ListenQuic),
        "dial" if is_quic => of_form(Form::Dial).dial().map(Address::DialQuic),
        "listen" if rest == ROUTES => Ok(Address::ListenRoutes),
        "listen" => of_form(Form::Listen).listen().map(Address::Listen),
        "dial" if rest == ASKED => Ok(Address::DialAsked),
        "dial" => of_form(Form::Dial).dial().map(Address::Dial),
        _ => Err(no_kind(input, kind)),
    }
}

/// The error where the first word is not a kind.
fn no_kind(input: &str, kind: &str) -> AddressError {
    let span = 0..kind.len();
    for known in ["listen", "dial", "exec"] {
        if kind.eq_ignore_ascii_case(known) {
            let message = format!("`{kind}` is written in small letters");
            return AddressError::new(input, span, Mistake::new(message, format!("`{known}:`")));
        }
    }
    if kind == "unix" && input.parse::<UnixAddr>().is_ok() {
        return missing(input, &format!("`listen:{input}` or `dial:{input}`"));
    }
    let foreign = FOREIGN_KINDS
        .iter()
        .find(|(foreign, _)| kind.eq_ignore_ascii_case(foreign));
    if foreign.is_none()
        && let Some(meant) = suggestion(input)
    {
        return missing(input, &meant);
    }
    if FOREIGN_STDIO.contains(&input) {
        let message = format!("`{input}` is not a kind of address");
        return AddressError::new(input, span, Mistake::new(message, "`stdio`"));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    let is_word = !kind.is_empty() && kind.chars().all(word);
    if is_word && kind.len() + 1 < input.len() {
        let message = format!("`{kind}` is not a kind of address");
        let form = foreign.and_then(|(_, form)| *form);
        let meant = form.and_then(|form| translated(&input[kind.len() + 1..], form));
        let hint = meant.unwrap_or(FORMS.to_owned());
        return AddressError::new(input, span, Mistake::new(message, hint));
    }
    missing(input, FORMS)
}

fn missing(input: &str, right: &str) -> AddressError {
    let mistake = Mistake::new("`listen:` or `dial:` is missing", right);
    AddressError::new(input, 0..0, mistake)
}

/// This address in our words, if it is one.
fn translated(address: &str, form: Form) -> Option<String> {
    let bare = Input::bare(address, form);
    let is_right = match form {
        Form::Listen => bare.listen().is_ok(),
        Form::Dial => bare.dial().is_ok(),
    };
    is_right.then(|| format!("`{}{address}`", form.kind()))
}

/// The server of a URL in our words, if the URL has its port.
fn url(input: &str) -> Option<String> {
    let (scheme, rest) = input.split_once("://")?;
    let form = match scheme.starts_with("listen:") {
        true => Form::Listen,
        false => Form::Dial,
    };
    translated(rest.split('/').next()?, form)
}

/// The probable meaning of an address without a kind.
fn suggestion(input: &str) -> Option<String> {
    Input::bare(input, Form::Listen).listen().ok()?;
    Some(match Input::bare(input, Form::Dial).dial() {
        Ok(_) => format!("`listen:{input}` or `dial:{input}`"),
        Err(_) => format!("`listen:{input}`"),
    })
}
