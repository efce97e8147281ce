//! The rules for a host's name.

use std::ops::Range;

use super::error::Mistake;

/// The longest name without the dot that may end it: RFC 1035's 255 octets, in writing.
const LONGEST_NAME: usize = 253;

const LONGEST_LABEL: usize = 63;

/// Checks a host's name; the error has the place and the reason.
pub(super) fn check(name: &str) -> Result<(), (Range<usize>, Mistake)> {
    let foreign = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.');
    if let Some((at, c)) = name.char_indices().find(|(_, c)| foreign(*c)) {
        let hint = if c.is_ascii() {
            "a name has letters, digits, hyphens and dots"
        } else {
            "write the name in its ASCII form, `xn--…`"
        };
        let mistake = Mistake::new(format!("`{c}` can't be in a host's name"), hint);
        return Err((at..at + c.len_utf8(), mistake));
    }
    let relative = name.strip_suffix('.').unwrap_or(name);
    if relative.len() > LONGEST_NAME {
        let message = format!("a host's name of {} characters is too long", relative.len());
        let hint = format!("a name has at most {LONGEST_NAME}");
        return Err((0..relative.len(), Mistake::new(message, hint)));
    }
    let mut start = 0;
    for label in relative.split('.') {
        let span = start..start + label.len();
        start = span.end + 1;
        let is_last = span.end == relative.len();
        let (message, hint) = if label.is_empty() {
            (
                "a part of the host's name is empty",
                "between two dots stands a letter or digit",
            )
        } else if label.len() > LONGEST_LABEL {
            (
                "a part of the host's name is too long",
                "between two dots stand at most 63 characters",
            )
        } else if label.starts_with('-') || label.ends_with('-') {
            (
                "a hyphen begins or ends a part of the host's name",
                "a hyphen stands between letters or digits",
            )
        } else if is_last && label.bytes().all(|b| b.is_ascii_digit()) {
            // `listen:9000:8000`: two ports.
            let (kind, hint) = match name.contains('.') {
                true => (
                    "an IPv4 address",
                    "an address is four numbers from 0 to 255 without leading zeros",
                ),
                false => (
                    "a host",
                    "a host is a name or an address; a number alone is a port",
                ),
            };
            let message = format!("`{name}` is not {kind}");
            return Err((0..name.len(), Mistake::new(message, hint)));
        } else {
            continue;
        };
        return Err((span, Mistake::new(message, hint)));
    }
    Ok(())
}
