//! Reads the kind of an address, `listen:` or `dial:`.

use super::{
    Address, AddressError,
    error::Mistake,
    parse::{Form, Input, fail, legible},
};

const FORMS: &str = "`listen:[HOST:]PORT` or `dial:HOST:PORT`";

/// Words before a colon that are a kind of address elsewhere, and not a host.
const FOREIGN_KINDS: [&str; 8] = [
    "bind", "connect", "tcp", "tcp4", "tcp6", "tls", "udp", "unix",
];

pub(super) fn address(input: &str) -> Result<Address, AddressError> {
    if input.is_empty() {
        return fail(input, 0..0, Mistake::new("an address is missing", FORMS));
    }
    legible(input, FORMS)?;
    let (kind, rest) = input.split_once(':').unwrap_or((input, ""));
    let of_form = |form| Input {
        whole: input,
        at: input.len() - rest.len(),
        form,
    };
    match kind {
        "listen" => of_form(Form::Listen).listen().map(Address::Listen),
        "dial" => of_form(Form::Dial).dial().map(Address::Dial),
        _ => Err(no_kind(input, kind)),
    }
}

/// The error where the first word is not a kind.
fn no_kind(input: &str, kind: &str) -> AddressError {
    let span = 0..kind.len();
    for known in ["listen", "dial"] {
        if kind.eq_ignore_ascii_case(known) {
            let message = format!("`{kind}` is written in small letters");
            return AddressError::new(input, span, Mistake::new(message, format!("`{known}:`")));
        }
    }
    if !FOREIGN_KINDS.contains(&kind)
        && let Some(meant) = suggestion(input)
    {
        return missing(input, &meant);
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    let is_word = !kind.is_empty() && kind.chars().all(word);
    if is_word && kind.len() + 1 < input.len() {
        let message = format!("`{kind}` is not a kind of address");
        return AddressError::new(input, span, Mistake::new(message, FORMS));
    }
    missing(input, FORMS)
}

fn missing(input: &str, right: &str) -> AddressError {
    let mistake = Mistake::new("`listen:` or `dial:` is missing", right);
    AddressError::new(input, 0..0, mistake)
}

/// The probable meaning of an address without a kind.
fn suggestion(input: &str) -> Option<String> {
    Input::bare(input, Form::Listen).listen().ok()?;
    Some(match Input::bare(input, Form::Dial).dial() {
        Ok(_) => format!("`listen:{input}` or `dial:{input}`"),
        Err(_) => format!("`listen:{input}`"),
    })
}
