//! From a command line to a file, and back.

use std::fmt::Write;

use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};

use super::{Kind, RelayWords, flags::PROCESS};
use crate::{mistake::Mistake, relay_name::UNNAMED, side::SideWords};

/// The tables of what was given on a command line.
pub(crate) fn write(
    command: &Command,
    matches: &ArgMatches,
    kind: Kind,
) -> Result<String, Mistake> {
    let (mut top, mut table, mut name) = (String::new(), String::new(), UNNAMED.to_owned());
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let value = match arg.get_action() {
            ArgAction::SetTrue => "true".to_owned(),
            ArgAction::Count => match matches.get_count(id) {
                1 => "true".to_owned(),
                count => count.to_string(),
            },
            _ => {
                let values = matches.get_raw(id).into_iter().flatten();
                let values = values.map(|value| {
                    value.to_str().map(str::to_owned).ok_or_else(|| {
                        let message = format!("`{}` is not UTF-8", value.display());
                        Mistake::new(message, "a file is text in UTF-8")
                    })
                });
                let values: Vec<_> = values.collect::<Result<_, _>>()?;
                match (arg.get_long(), &values[..]) {
                    (Some("name"), [given]) => {
                        name.clone_from(given);
                        continue;
                    }
                    (None, [side]) => side_value(side),
                    (_, [one]) => scalar(one),
                    (_, many) => array(many),
                }
            }
        };
        let key = arg.get_long().map_or_else(|| side_key(id), str::to_owned);
        let to = match PROCESS.contains(&&*key) {
            true => &mut top,
            false => &mut table,
        };
        let _ = writeln!(to, "{key} = {value}");
    }
    if !top.is_empty() {
        top.push('\n');
    }
    Ok(format!("{top}[{}.{name}]\n{table}", kind.name()))
}

/// The key of a positional argument.
fn side_key(id: &str) -> String {
    match id {
        "side" => "a".to_owned(),
        id => id.to_owned(),
    }
}

/// A side: a word if it is short, else an array of its parts.
fn side_value(side: &str) -> String {
    let words = SideWords::from(side);
    let parts: Vec<_> = words.parts().map(str::to_owned).collect();
    match parts.len() {
        0..=2 => string(side),
        _ => array(&parts),
    }
}

fn array(values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|value| string(value)).collect();
    format!("[{}]", values.join(", "))
}

/// A count is a number; all else a string.
fn scalar(value: &str) -> String {
    let is_number = value.len() < 10 && value.bytes().all(|c| c.is_ascii_digit());
    match is_number && (value == "0" || !value.starts_with('0')) && !value.is_empty() {
        true => value.to_owned(),
        false => string(value),
    }
}

fn string(value: &str) -> String {
    // What JSON escapes, TOML escapes so, too; but for DEL, which JSON leaves.
    let json = serde_json::Value::from(value).to_string();
    json.replace('\u{7f}', "\\u007f")
}

/// The command line of a relay, as a shell takes it.
pub(crate) fn command_line(name: &str, words: &RelayWords) -> String {
    let kind: Option<&str> = match words.kind {
        Kind::Relay => None,
        Kind::Rendezvous => Some(words.kind.name()),
    };
    let sides = [Some(&words.a), words.b.as_ref()].into_iter().flatten();
    let mut line = String::from("couplet");
    let named = format!("--name={name}");
    let mut all: Vec<&str> = kind.into_iter().collect();
    all.extend(sides.map(SideWords::text));
    all.push(&named);
    all.extend(words.flags.iter().map(String::as_str));
    for word in all {
        let _ = write!(line, " {}", quoted(word));
    }
    line
}

#[cfg(feature = "admin")]
impl RelayWords {
    /// Without what may be secret.
    pub(crate) fn redacted(&self) -> Self {
        Self {
            a: self.a.redacted(),
            b: self.b.as_ref().map(SideWords::redacted),
            ..self.clone()
        }
    }

    /// The table of a file that says the same.
    pub(crate) fn table(&self, name: &str) -> String {
        let mut table = format!("[{}.{name}]\n", self.kind.name());
        for (key, side) in [("a", Some(&self.a)), ("b", self.b.as_ref())] {
            if let Some(side) = side {
                let parts: Vec<_> = side.parts().map(str::to_owned).collect();
                let value = match &parts[..] {
                    [one] => string(one),
                    many => array(many),
                };
                let _ = writeln!(table, "{key} = {value}");
            }
        }
        let mut flags: Vec<(&str, Vec<String>)> = Vec::new();
        for flag in &self.flags {
            let flag = flag.trim_start_matches('-');
            let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
            // They stand above the first table.
            if PROCESS.contains(&key) {
                continue;
            }
            match flags.last_mut() {
                Some((known, values)) if *known == key => values.push(value.to_owned()),
                _ => flags.push((key, vec![value.to_owned()])),
            }
        }
        for (key, values) in flags {
            let value = match &values[..] {
                [none] if none.is_empty() => "true".to_owned(),
                [one] => scalar(one),
                many => array(many),
            };
            let _ = writeln!(table, "{key} = {value}");
        }
        table
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
