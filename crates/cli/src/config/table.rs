//! The tables of a file, as they stand there.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::text::Text;
use crate::{
    mistake::{Mistake, Mistakes},
    relay_name::is_name,
    side::SideWords,
};

/// A table: keys and values, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Flag(bool),
    One(Item),
    Many(Vec<Item>),
}

/// A string or a number.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) text: String,
    pub(super) span: Range<usize>,
    /// Where its text stands in the file letter by letter.
    verbatim: Option<usize>,
}

/// The tables of a file.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) top: Table,
    pub(super) defaults: Option<(Range<usize>, Table)>,
    pub(super) named: Vec<Named>,
}

/// A table of tables by name: `[relay.NAME]`.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    pub(super) table: Table,
}

/// What a table describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Relay,
    Rendezvous,
}

// ===== impl Tables =====

impl Tables {
    /// Reads them. What can't be read is left out and is among the mistakes.
    pub(super) fn read(text: &Text, wrong: &mut Mistakes) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text.as_str());
        for error in &errors {
            let at = error.span().unwrap_or_default();
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let mistake = Mistake::new(
                message,
                "TOML, as docs/service.md has it: `key = \"value\"`",
            );
            wrong.push(text.place(mistake, at));
        }
        let mut tables = Self::default();
        for (key, value) in in_order(document.get_ref()) {
            let kind = Kind::of(key.get_ref());
            match (value.get_ref(), kind) {
                (DeValue::Table(named), Some(kind)) => tables.add_named(text, kind, named, wrong),
                (DeValue::Table(table), None) if *key.get_ref() == DEFAULTS => {
                    let table = Table::read(text, table, wrong);
                    tables.defaults = Some((key.span(), table));
                }
                (DeValue::Table(_), None) => {
                    let message = format!("`[{}]` is not a table of the file", key.get_ref());
                    let known = ["relay", "rendezvous", DEFAULTS];
                    let mistake = Mistake::unknown(message, key.get_ref(), &known);
                    wrong.push(text.place(mistake, key.span()));
                }
                (_, Some(kind)) => {
                    let message = format!("`{}` is a table", kind.name());
                    let hint = format!("`[{}.NAME]`, and its keys below", kind.name());
                    wrong.push(text.place(Mistake::new(message, hint), key.span()));
                }
                (_, None) => tables.top.add(text, key, value, wrong),
            }
        }
        tables
    }

    fn add_named(&mut self, text: &Text, kind: Kind, named: &DeTable<'_>, wrong: &mut Mistakes) {
        for (key, value) in in_order(named) {
            let name = key.get_ref().to_string();
            let DeValue::Table(table) = value.get_ref() else {
                let message = format!("`{name}` is not in a table with a name");
                let hint = format!("`[{}.NAME]` above it", kind.name());
                wrong.push(text.place(Mistake::new(message, hint), key.span()));
                continue;
            };
            if !is_name(&name) {
                let message = format!("`{name}` is not the name of a relay");
                let hint =
                    "a lower-case letter, then lower-case letters, digits and hyphens, at most 41";
                wrong.push(text.place(Mistake::new(message, hint), key.span()));
            }
            self.named.push(Named {
                kind,
                name,
                name_span: key.span(),
                table: Table::read(text, table, wrong),
            });
        }
    }
}

/// The name of the table of what holds for all relays.
pub(super) const DEFAULTS: &str = "defaults";

fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(
    &'a Spanned<std::borrow::Cow<'i, str>>,
    &'a Spanned<DeValue<'i>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

// ===== impl Kind =====

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "relay" => Some(Self::Relay),
            "rendezvous" => Some(Self::Rendezvous),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Rendezvous => "rendezvous",
        }
    }
}

// ===== impl Table =====

impl Table {
    fn read(text: &Text, table: &DeTable<'_>, wrong: &mut Mistakes) -> Self {
        let mut read = Self::default();
        for (key, value) in in_order(table) {
            read.add(text, key, value, wrong);
        }
        read
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn add(
        &mut self,
        text: &Text,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        wrong: &mut Mistakes,
    ) {
        let read = match value.get_ref() {
            DeValue::Boolean(on) => Ok(Value::Flag(*on)),
            DeValue::Array(array) => {
                let items = array.iter().map(|value| Item::read(text, value));
                items.collect::<Result<_, _>>().map(Value::Many)
            }
            DeValue::Table(_) => Err(dotted(key.get_ref(), key.span())),
            _ => Item::read(text, value).map(Value::One),
        };
        match read {
            Ok(value_read) => self.entries.push(Entry {
                key: key.get_ref().to_string(),
                key_span: key.span(),
                value: value_read,
                span: value.span(),
            }),
            Err((mistake, span)) => wrong.push(text.place(mistake, span)),
        }
    }
}

/// `a.tls = "…"`.
fn dotted(key: &str, span: Range<usize>) -> (Mistake, Range<usize>) {
    let message = format!("`{key}` has no keys of its own");
    let hint = match key {
        "a" | "b" => "the parts of a side are in an array: `[\"listen:443\", \"tls=db.pem\"]`",
        _ => "a string, a number, `true` or an array",
    };
    (Mistake::new(message, hint), span)
}

// ===== impl Entry =====

impl Entry {
    /// Its strings and numbers.
    pub(super) fn items(&self) -> &[Item] {
        match &self.value {
            Value::Flag(_) => &[],
            Value::One(item) => std::slice::from_ref(item),
            Value::Many(items) => items,
        }
    }
}

impl Entry {
    /// The sides of a key that may have several, each with its items: a string is a word, cut at its commas;
    /// in an array the options that stand behind an address are its parts.
    pub(super) fn sides(&self) -> Vec<(SideWords, &[Item])> {
        let items = self.items();
        let starts = (0..items.len()).filter(|at| *at == 0 || is_address(&items[*at].text));
        let starts: Vec<_> = starts.chain([items.len()]).collect();
        let sides = starts.windows(2).map(|ends| {
            let items = &items[ends[0]..ends[1]];
            let words = match items {
                [word] => word.text.as_str().into(),
                parts => SideWords::of_parts(parts.iter().map(|item| &item.text)),
            };
            (words, items)
        });
        sides.collect()
    }
}

/// And not an option, `NAME` or `NAME=VALUE`?
fn is_address(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    name.contains(':') || text.parse::<u16>().is_ok()
}

// ===== impl Item =====

impl Item {
    fn read(text: &Text, value: &Spanned<DeValue<'_>>) -> Result<Self, (Mistake, Range<usize>)> {
        let span = value.span();
        let read = match value.get_ref() {
            DeValue::String(string) => string.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
            other => {
                let message = format!("a value can't be a {}", other.type_str());
                let hint = "a string, as `\"30s\"`, or a number";
                return Err((Mistake::new(message, hint), span));
            }
        };
        let raw = text.as_str().get(span.clone()).unwrap_or_default();
        let verbatim = [0, 1, 3].into_iter().find(|quotes| {
            raw.len() == read.len() + 2 * quotes
                && raw.get(*quotes..raw.len() - quotes) == Some(&*read)
        });
        Ok(Self {
            verbatim: verbatim.map(|quotes| span.start + quotes),
            text: read,
            span,
        })
    }

    /// Where in the file a part of its text is: all of it where that can't be told.
    pub(super) fn part(&self, part: Range<usize>) -> Range<usize> {
        match self.verbatim {
            Some(start) => start + part.start..start + part.end,
            None => self.span.clone(),
        }
    }
}
