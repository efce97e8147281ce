//! `frame=…`: the side speaks in messages.

use bytesize::ByteSize;

use super::{Does, On, SideOption, SideSetting, Value};
use crate::{
    frame::{Form, Frame, Order},
    layer_spec::{Source, Sourced},
    mistake::Mistake,
    side::{EndpointSpec, Given},
    units::size,
};

pub(crate) static FRAME: SideOption = SideOption {
    name: "frame",
    on: On::Either,
    value: Value::Needed("FORM"),
    help: "carry whole messages: lines, length:4 (or 1 to 8, 4le), delimiter:00 (in hex)",
    settings: &[SideSetting {
        name: "max",
        value: "SIZE",
        help: "the longest message [default: 64KiB]",
        many: false,
    }],
    does: Does::Set(set),
};

/// How long a message may be where it is not said.
const MAX: ByteSize = ByteSize::kib(64);

/// A message is held until it is whole.
const MOST: ByteSize = ByteSize::mib(4);

fn set(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let max = given
        .setting("max")
        .map(|word| word.parse(max))
        .transpose()?;
    endpoint.frame = Some(Frame {
        form: given.needed()?.parse(form)?,
        max: Sourced {
            value: MAX,
            from: Source::Default,
        }
        .unless(max),
    });
    Ok(())
}

fn max(value: &str) -> Result<ByteSize, Mistake> {
    match size(value)? {
        max if max > MOST => Err(Mistake::new(
            "a message is held in memory until it is whole",
            format!("at most {MOST}"),
        )),
        max => Ok(max),
    }
}

fn form(value: &str) -> Result<Form, Mistake> {
    let (name, rest) = match value.split_once(':') {
        Some((name, rest)) => (name, Some(rest)),
        None => (value, None),
    };
    match (name, rest) {
        ("lines", None) => Ok(Form::Ends(b"\n".to_vec())),
        ("lines", Some(_)) => Err(Mistake::new(
            "`lines` takes no value",
            "`lines`; the longest line is `frame.max`",
        )),
        ("length", bytes) => bytes.and_then(length).ok_or_else(|| {
            Mistake::new(
                format!("`{value}` is not a form of a length"),
                "1 to 8 bytes, big-endian: `length:4`; little-endian: `length:4le`",
            )
        }),
        ("delimiter", bytes) => bytes.and_then(hex).map(Form::Ends).ok_or_else(|| {
            Mistake::new(
                format!("`{value}` is not a delimiter"),
                "bytes in hex, each of which ends a message: `delimiter:00`",
            )
        }),
        _ => Err(Mistake::unknown(
            format!("`{value}` is not a form of messages"),
            name,
            &["lines", "length:4", "delimiter:00"],
        )),
    }
}

fn length(text: &str) -> Option<Form> {
    let (bytes, order) = match text.strip_suffix("le") {
        Some(bytes) => (bytes, Order::LowFirst),
        None => (text, Order::HighFirst),
    };
    match bytes.parse() {
        Ok(bytes @ 1..=8) if !text.starts_with('+') => Some(Form::Length(bytes, order)),
        _ => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()
        }
        _ => None,
    };
    let bytes: Vec<u8> = digits.map(byte).collect::<Option<_>>()?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_as_they_are_shown() {
        for text in [
            "lines",
            "length:1",
            "length:4le",
            "length:8",
            "delimiter:00",
            "delimiter:3b0a",
        ] {
            assert_eq!(form(text).unwrap().to_string(), text);
        }
        assert_eq!(form("delimiter:0A").unwrap().to_string(), "lines");
        for wrong in [
            "",
            "json",
            "lines:80",
            "length",
            "length:",
            "length:0",
            "length:9",
            "length:+4",
            "length:4be",
            "delimiter",
            "delimiter:",
            "delimiter:0",
            "delimiter:;",
            "delimiter:+1",
        ] {
            form(wrong).unwrap_err();
        }
        max("0B").unwrap_err();
        assert!(max("5MiB").unwrap_err().to_string().contains("4.0 MiB"));
    }
}
