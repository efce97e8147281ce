//! The keys of a table are the flags of the command line: this makes words of it.

use std::error::Error as _;

use clap::{
    Arg, ArgAction, Command, CommandFactory, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    table::{Entry, Kind, Value},
    text::Text,
};
use crate::{
    args::{Args, Tool},
    mistake::{Mistake, Mistakes},
    side::{self, SideWords},
};

/// Flags of the process, which stand at the top of a file.
pub(super) const PROCESS: &[&str] = &[
    "threads",
    "drain-timeout",
    "log-format",
    "privacy",
    "verbose",
    "quiet",
    "admin",
    "admin-token",
    "admin-host",
];

/// Those of them whose values are sides.
pub(super) const SIDES: &[&str] = &["admin"];

/// Those of them that a relay has to know, too.
pub(super) const PROCESS_OF_RELAYS: &[&str] = &[
    "threads",
    "drain-timeout",
    "log-format",
    "privacy",
    "verbose",
    "quiet",
];

/// Flags that are no keys: the name of a relay is its table's.
const NO_KEYS: &[&str] = &["help", "version", "name"];

/// The flags of a kind of relay.
#[derive(Debug)]
pub(super) struct Flags {
    kind: Kind,
    command: Command,
}

/// Parsed words.
#[derive(Debug)]
pub(super) struct Parsed(pub(super) Args);

// ===== impl Flags =====

impl Flags {
    pub(super) fn of(kind: Kind) -> Self {
        let command = Args::command();
        let command = match kind {
            Kind::Relay => command,
            Kind::Rendezvous => {
                let rendezvous = command.find_subcommand(kind.name());
                rendezvous.expect("the command has it").clone()
            }
        };
        Self { kind, command }
    }

    /// All, by their long names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.command.get_arguments().filter_map(Arg::get_long);
        names.filter(|name| !NO_KEYS.contains(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    fn get(&self, name: &str) -> Option<&Arg> {
        let mut args = self.command.get_arguments();
        args.find(|arg| arg.get_long() == Some(name))
    }

    /// The words of the command line for this key.
    pub(super) fn words(&self, entry: &Entry) -> Result<Vec<String>, Mistake> {
        let key = &entry.key;
        let arg = self.get(key).expect("it was looked up before");
        let name = arg.get_value_names().and_then(|names| names.first());
        let form = || {
            let value = name.map_or("VALUE", |name| name.as_str());
            match value {
                "NUMBER" => format!("`{key} = {value}`"),
                _ => format!("`{key} = \"{value}\"`"),
            }
        };
        let flag = || format!("--{key}");
        match (&entry.value, arg.get_action()) {
            (Value::Flag(false), _) => Ok(Vec::new()),
            (Value::Flag(true), ArgAction::SetTrue | ArgAction::Count) => Ok(vec![flag()]),
            (Value::One(item), ArgAction::Count) => match item.text.parse::<usize>() {
                Ok(count @ 0..=8) => Ok(vec![flag(); count]),
                _ => Err(Mistake::new(
                    format!("`{key}` is `true` or how often"),
                    format!("`{key} = true`, or `{key} = 2`"),
                )),
            },
            (_, ArgAction::SetTrue | ArgAction::Count) => Err(Mistake::new(
                format!("`{key}` takes no value"),
                format!("`{key} = true`"),
            )),
            (Value::Flag(true), _) => match arg.get_num_args() {
                Some(values) if values.min_values() == 0 => Ok(vec![flag()]),
                _ => Err(Mistake::new(format!("`{key}` needs a value"), form())),
            },
            (Value::Many(items), ArgAction::Set) if items.len() != 1 => {
                Err(Mistake::new(format!("`{key}` is given once"), form()))
            }
            _ if SIDES.contains(&&**key) => {
                let sides = entry.sides().into_iter();
                Ok(sides
                    .map(|(side, _)| format!("--{key}={}", side.text()))
                    .collect())
            }
            _ => {
                let items = entry.items().iter();
                Ok(items.map(|item| format!("--{key}={}", item.text)).collect())
            }
        }
    }

    /// What is wrong with a key by itself.
    pub(super) fn check(&self, entry: &Entry, text: &Text) -> Result<(), Mistakes> {
        let words = self
            .words(entry)
            .map_err(|mistake| vec![text.place(mistake, entry.span.clone())])?;
        // A side is read as a whole, and then told where it is wrong.
        if entry.items().is_empty() || SIDES.contains(&&*entry.key) {
            return Ok(());
        }
        let wrong: Mistakes = words
            .iter()
            .zip(entry.items())
            .filter_map(|(word, item)| {
                let sides = [&"listen:1".into(), &"listen:2".into()];
                let error = self.parse(std::slice::from_ref(word), sides).err()?;
                let is_of_one = !matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict
                );
                let mistake = is_of_one.then(|| of_value(&error, &entry.key, &item.text))?;
                let span = mistake.span_in(&item.text).unwrap_or(0..item.text.len());
                Some(text.place(mistake, item.part(span)))
            })
            .collect();
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong),
        }
    }

    /// Parses the flags of a relay with these sides.
    pub(super) fn parse(
        &self,
        flags: &[String],
        [a, b]: [&SideWords; 2],
    ) -> Result<Parsed, clap::Error> {
        let kind = match self.kind {
            Kind::Relay => None,
            Kind::Rendezvous => Some(self.kind.name()),
        };
        let sides = match self.kind {
            Kind::Relay => &["--", "listen:1", "listen:2"][..],
            Kind::Rendezvous => &["--", "listen:1"],
        };
        let words = ["couplet"].into_iter().chain(kind);
        let words = words.chain(flags.iter().map(String::as_str));
        let mut args = Args::try_parse_from(words.chain(sides.iter().copied()))?;
        match &mut args.tool {
            Some(Tool::Rendezvous(rendezvous)) => a.clone_into(rendezvous.side_mut()),
            _ => {
                for (place, side) in args.relay.sides_mut().into_iter().zip([a, b]) {
                    *place = Some(side.clone());
                }
            }
        }
        Ok(Parsed(args))
    }

    /// Why a key is not one of a relay of this kind.
    pub(super) fn unknown(&self, key: &str) -> Mistake {
        let kind = self.kind.name();
        if PROCESS.contains(&key) {
            return Mistake::new(
                format!("`{key}` belongs to the process, not to a relay"),
                "at the top of the file, above the first table",
            );
        }
        if side::is_option(key) {
            return Mistake::new(
                format!("`{key}` is an option of a side"),
                format!("in its array: `a = [\"listen:9000\", \"{key}=…\"]`"),
            );
        }
        let sides = match self.kind {
            Kind::Relay => &["a", "b"][..],
            Kind::Rendezvous => &["a"],
        };
        let known: Vec<_> = self
            .names()
            .filter(|name| !PROCESS.contains(name))
            .collect();
        let message = format!("`{key}` is not a key of a {kind}");
        match crate::mistake::nearest(key, known.iter().copied()) {
            Some(near) => Mistake::new(message, format!("did you mean `{near}`?")),
            None => {
                let keys = [sides, &known].concat().join(", ");
                Mistake::new(message, format!("a {kind} has {keys}"))
            }
        }
    }
}

/// What clap says of one value, in our words.
fn of_value(error: &clap::Error, key: &str, value: &str) -> Mistake {
    let source = error.source();
    if let Some(mistake) = source.and_then(|source| source.downcast_ref::<Mistake>()) {
        return mistake.clone();
    }
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        let valid: Vec<_> = valid.iter().map(String::as_str).collect();
        return Mistake::unknown(
            format!("`{value}` is not a value of `{key}`"),
            value,
            &valid,
        );
    }
    match source {
        Some(why) => Mistake::new(
            format!("`{value}` is not a value of `{key}`: {why}"),
            format!("`couplet --help` says what `--{key}` takes"),
        ),
        None => Mistake::new(
            format!("`{key}` needs a value"),
            format!("`couplet --help` says what `--{key}` takes"),
        ),
    }
}

/// What clap says of several keys: those that it is about, and the mistake.
pub(super) fn of_several(error: &clap::Error, given: &[&str]) -> (Vec<String>, Mistake) {
    let names = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => vec![flag_name(name)],
        Some(ContextValue::Strings(names)) => names.iter().map(|name| flag_name(name)).collect(),
        _ => Vec::new(),
    };
    let of = names(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::ArgumentConflict => {
            let keys = [of, names(ContextKind::PriorArg)].concat();
            let named: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            let message = format!("{} exclude each other", named.join(" and "));
            let mistake = Mistake::new(message, "leave one of them out");
            (keys, mistake)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = of.first().cloned().unwrap_or_default();
            // `access-log-format` is about `access-log`.
            let needs = given.iter().filter(|key| key.starts_with(&missing));
            let needs: Vec<_> = needs.map(ToString::to_string).collect();
            let message = match needs.first() {
                Some(key) => format!("`{key}` would do nothing without `{missing}`"),
                None => format!("`{missing}` is missing"),
            };
            (
                needs,
                Mistake::new(message, format!("add `{missing} = …`, or leave it out")),
            )
        }
        _ => {
            let message = error.to_string();
            let message = message.trim_start_matches("error: ");
            let first = message.lines().next().unwrap_or_default();
            (of, Mistake::new(first, "`couplet --help` lists the flags"))
        }
    }
}

/// `once` of `--once`, `max-pairs` of `--max-pairs <NUMBER>`.
fn flag_name(arg: &str) -> String {
    let end = |c: char| [' ', '=', '['].contains(&c);
    let name = arg.split(end).next().unwrap_or_default();
    name.trim_start_matches('-').to_owned()
}
