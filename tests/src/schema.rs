//! The one form of all JSON lines that the command writes: docs/logs.md.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Names whose value is a number wherever they stand.
const NUMBERS: &[&str] = &[
    "a_to_b",
    "b_to_a",
    "before",
    "conn",
    "count",
    "duration",
    "entries",
    "gid",
    "grace",
    "handshake",
    "idle",
    "in_all",
    "lasted",
    "length",
    "lines",
    "live",
    "more",
    "networks",
    "offset",
    "pause",
    "pid",
    "received",
    "records",
    "sent",
    "session",
    "total",
    "uid",
    "waited",
    "waiting",
    "with_same_key",
];

/// What a line of JSON says.
///
/// # Panics
///
/// If the line is not as docs/logs.md has it.
#[track_caller]
pub fn parse(line: &str) -> Value {
    let wrong = |what: &dyn fmt::Display| panic!("{what}: {line}");
    if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        wrong(&"a line holds more than printable ASCII");
    }
    let Once(value) = serde_json::from_str(line).unwrap_or_else(|error| wrong(&error));
    if value["time"].as_str().is_none_or(|time| !is_time(time)) {
        wrong(&"`time` is no time in UTC with microseconds");
    }
    // A log line, a record of the access log, or one of the traffic.
    let is_known = match (&value["level"], &value["event"], &value["from"]) {
        (Value::String(level), Value::Null, _) => {
            let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
            levels.contains(&level.as_str()) && value["message"].is_string()
        }
        (Value::Null, Value::String(event), _) => {
            let events = ["pair", "live", "connection", "more"];
            events.contains(&event.as_str()) && value["state"].is_string()
        }
        (Value::Null, Value::Null, from) => ["A", "B"].contains(&from.as_str().unwrap_or("?")),
        _ => false,
    };
    if !is_known {
        wrong(&"a line is of no kind that is known");
    }
    members(&value, &mut |name, value| {
        if NUMBERS.contains(&name) != value.is_number() && !value.is_boolean() {
            wrong(&format_args!("`{name}` is {value}"));
        }
        let debug = ["Some(", "Ok(", "Err(", "None"];
        // What peers say may be anything.
        if let (Value::String(text), false) = (value, name == "text")
            && debug.iter().any(|debug| text.starts_with(debug))
        {
            wrong(&format_args!("`{name}` shows a type of Rust"));
        }
    });
    value
}

/// `2026-11-23T09:15:02.000123Z`
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000000Z";
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    digits(text) == form
}

/// Calls `look` for each member that is no object.
fn members(value: &Value, look: &mut impl FnMut(&str, &Value)) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => members(value, look),
            value => look(name, value),
        }
    }
}

/// A value in whose objects each name is there once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Once, E> {
        Ok(Once(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Once, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Once(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut members = Map::new();
        while let Some((name, Once(value))) = map.next_entry::<String, Once>()? {
            if members.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("`{name}` is there twice")));
            }
        }
        Ok(Once(members.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"time":"2026-11-23T09:15:02.000123Z","level":"INFO","message":"x","session":7}"#;

    #[test]
    fn a_valid_line_passes() {
        assert_eq!(parse(GOOD)["session"], 7);
    }

    #[test]
    fn invalid_lines_are_named() {
        for (good, bad) in [
            ("}", r#","session":8}"#),
            ("7", r#""7""#),
            ("7", "Infinity"),
            ("000123Z", "000Z"),
            ("\"level\":\"INFO\",", ""),
            ("\"x\"", "\"Some(30s)\""),
            ("\"x\"", "\"\u{9b}\""),
        ] {
            let line = GOOD.replacen(good, bad, 1);
            std::panic::catch_unwind(|| parse(&line)).expect_err(&line);
        }
    }
}
