//! The table above all others: the flags of the process.

use std::collections::BTreeMap;

#[cfg(feature = "admin")]
use super::place::in_short_side;
use super::{
    flags::{Flags, PROCESS, Parsed, of_several},
    table::{Entry, Kind, Table},
    text::Text,
};
use crate::mistake::{Mistake, Mistakes, nearest};

pub(super) fn words_by_key(table: &Table) -> BTreeMap<String, Vec<String>> {
    let flags = Flags::of(Kind::Relay);
    let words = |entry: &Entry| (entry.key.clone(), flags.words(entry).unwrap_or_default());
    table.entries.iter().map(words).collect()
}

/// The flags of the process.
pub(super) fn process(top: Option<(&Text, &Table)>, wrong: &mut Mistakes) -> Option<Parsed> {
    let flags = Flags::of(Kind::Relay);
    let mut words = Vec::new();
    let mut given = Vec::new();
    let before = wrong.len();
    for (text, entry) in top
        .iter()
        .flat_map(|(text, top)| top.entries.iter().map(move |e| (text, e)))
    {
        if !PROCESS.contains(&&*entry.key) || !flags.has(&entry.key) {
            wrong.push(text.place(not_of_the_process(&entry.key), entry.key_span.clone()));
            continue;
        }
        match flags.check(entry, text) {
            Ok(()) => words.extend(flags.words(entry).unwrap_or_default()),
            Err(mistakes) => wrong.extend(mistakes),
        }
        given.push(&*entry.key);
    }
    if wrong.len() > before {
        return None;
    }
    let sides = [&"listen:1".into(), &"listen:2".into()];
    let placed = |key: Option<&str>, mistake: Mistake| match top {
        Some((text, top)) => {
            let entry = key.and_then(|key| top.get(key)).or(top.entries.first());
            text.place(mistake, entry.map_or(0..0, |entry| entry.span.clone()))
        }
        None => mistake,
    };
    let parsed = flags.parse(&words, sides).map_err(|error| {
        let (keys, mistake) = of_several(&error, &given);
        placed(keys.first().map(String::as_str), mistake)
    });
    #[cfg(feature = "admin")]
    let parsed = parsed.and_then(|mut parsed| {
        let entry = top.and_then(|(_, top)| top.get("admin"));
        let sides = entry.map(Entry::sides).unwrap_or_default();
        let admin = &mut parsed.0.relay.common.admin;
        admin.set_sides(sides.iter().map(|(side, _)| side.clone()).collect());
        let Err(mistake) = admin.spec() else {
            return Ok(parsed);
        };
        let at = sides
            .iter()
            .find_map(|(side, items)| in_short_side(items, side, &mistake));
        Err(match (top, at) {
            (Some((text, _)), Some(at)) => text.place(mistake, at),
            _ => {
                let key = mistake.key().map(str::to_owned);
                placed(key.as_deref(), mistake)
            }
        })
    });
    parsed.map_err(|mistake| wrong.push(mistake)).ok()
}

fn not_of_the_process(key: &str) -> Mistake {
    let of_a_relay = [Kind::Relay, Kind::Rendezvous];
    if of_a_relay.iter().any(|kind| Flags::of(*kind).has(key)) {
        let message = format!("`{key}` is a relay's, not the process's");
        let hint = "in `[relay.NAME]` or `[rendezvous.NAME]`, or for all of them in `[defaults]`";
        return Mistake::new(message, hint);
    }
    if ["a", "b"].contains(&key) {
        let message = format!("`{key}` is a side of a relay, and stands above all tables");
        return Mistake::new(message, "`[relay.NAME]` above it");
    }
    let message = format!("`{key}` is not a key of the process");
    match nearest(key, PROCESS.iter().copied()) {
        Some(near) => Mistake::new(message, format!("did you mean `{near}`?")),
        None => Mistake::new(message, format!("the process has {}", PROCESS.join(", "))),
    }
}
