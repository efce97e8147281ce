//! From tables to relays.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Config, RelayConfig, RelayWords, addresses,
    flags::{Flags, PROCESS, PROCESS_OF_RELAYS, of_several},
    place::Place,
    process::{process, words_by_key},
    routes,
    table::{DEFAULTS, Entry, Kind, Table, Tables, Value},
    text::Text,
};
use crate::{
    args::Tool,
    mistake::{Mistake, Mistakes},
    plan::Plan,
    side::{SideWords, option_form},
};

/// What all relays have unless they say otherwise.
#[derive(Default)]
struct Inherited<'a> {
    entries: Vec<(&'a Text, &'a Entry)>,
    /// The keys that some relay took.
    taken: BTreeSet<&'a str>,
}

/// Reads the files, and returns all that is wrong.
pub(super) fn read(texts: &[Text]) -> Result<Config, Mistakes> {
    let mut wrong = Mistakes::new();
    let files: Vec<_> = texts
        .iter()
        .map(|text| (text, Tables::read(text, &mut wrong)))
        .collect();
    let top = one_top(&files, &mut wrong);
    let process = process(top, &mut wrong);
    let mut inherited = Inherited::default();
    if let Some((text, top)) = top {
        let shared = top.entries.iter();
        let shared = shared.filter(|entry| PROCESS_OF_RELAYS.contains(&&*entry.key));
        inherited.entries.extend(shared.map(|entry| (text, entry)));
    }
    defaults(&files, &mut inherited, &mut wrong);
    let places: Vec<_> = files
        .iter()
        .flat_map(|(text, tables)| tables.named.iter().map(move |named| Place { text, named }))
        .collect();
    if texts.is_empty() {
        wrong.push(Mistake::new(
            "no file of the folder ends in `.toml`",
            "a file such as `couplet.toml` in it",
        ));
    } else if places.is_empty() && wrong.is_empty() {
        wrong.push(Mistake::new(
            "no relay is described: nothing would run",
            "`[relay.NAME]`, with `a = \"listen:…\"` and `b = \"dial:…\"` below it",
        ));
    }
    refuse_same_names(&places, &mut wrong);
    let mut relays = Vec::new();
    for place in &places {
        match relay(place, &mut inherited) {
            Ok(relay) => relays.push(relay),
            Err(mistakes) => wrong.extend(mistakes),
        }
    }
    if relays.len() == places.len() {
        let common = process.as_ref().map(|process| &process.0.relay.common);
        let admin = || top.and_then(|(text, top)| Some(text.line_of(top.get("admin")?.span.start)));
        let line_of = |relay: Option<usize>| match relay {
            Some(number) => places[number].line(),
            None => admin().unwrap_or_default(),
        };
        for (number, mistake) in addresses::check(common, &relays, line_of) {
            wrong.push(places[number].place(mistake, [None, None]));
        }
        for (number, side, mistake) in routes::check(&relays) {
            wrong.push(places[number].place_at(side, mistake));
        }
        inherited.refuse_unused(&mut wrong);
    }
    match (process, wrong.is_empty()) {
        (Some(process), true) => Ok(Config {
            process: process.0.relay,
            process_words: top.map_or_else(BTreeMap::new, |(_, top)| words_by_key(top)),
            relays,
        }),
        _ => {
            wrong.sort_by(|one, other| one.position().cmp(&other.position()));
            Err(wrong)
        }
    }
}

/// The table above all others, of the one file that has something there.
fn one_top<'a>(
    files: &'a [(&'a Text, Tables)],
    wrong: &mut Mistakes,
) -> Option<(&'a Text, &'a Table)> {
    let mut tops = files
        .iter()
        .filter(|(_, tables)| !tables.top.entries.is_empty());
    let (text, first) = tops.next()?;
    for (other, tables) in tops {
        let entry = &tables.top.entries[0];
        let before = text.line_of(first.top.entries[0].key_span.start);
        let message = format!("the process has flags in two files: {before} has some, too");
        let mistake = Mistake::new(message, "all of them in one file");
        wrong.push(other.place(mistake, entry.key_span.clone()));
    }
    Some((text, &first.top))
}

/// Adds the keys of `[defaults]`, each checked.
fn defaults<'a>(
    files: &'a [(&'a Text, Tables)],
    inherited: &mut Inherited<'a>,
    wrong: &mut Mistakes,
) {
    let kinds = [Kind::Relay, Kind::Rendezvous].map(Flags::of);
    let mut before: Option<String> = None;
    for (text, tables) in files {
        let Some((span, table)) = &tables.defaults else {
            continue;
        };
        if let Some(before) = &before {
            let message = format!("`[{DEFAULTS}]` is in two files: {before} has it, too");
            wrong.push(text.place(Mistake::new(message, "one of them"), span.clone()));
            continue;
        }
        before = Some(text.line_of(span.start));
        for entry in &table.entries {
            let known = kinds.iter().find(|flags| flags.has(&entry.key));
            let known = known.filter(|_| !PROCESS.contains(&&*entry.key));
            let checked = match known {
                Some(flags) => flags.check(entry, text),
                None => {
                    let mistake = kinds[0].unknown(&entry.key);
                    Err(vec![text.place(mistake, entry.key_span.clone())])
                }
            };
            match checked {
                Ok(()) => inherited.entries.push((text, entry)),
                Err(mistakes) => wrong.extend(mistakes),
            }
        }
    }
}

fn refuse_same_names(places: &[Place<'_>], wrong: &mut Mistakes) {
    for (at, place) in places.iter().enumerate() {
        let name = &place.named.name;
        let mut before = places[..at].iter();
        if let Some(first) = before.find(|other| other.named.name == *name) {
            let line = first.line();
            let message = format!("two relays are called `{name}`: the other is at {line}");
            let mistake = Mistake::new(message, "another name");
            wrong.push(place.text.place(mistake, place.named.name_span.clone()));
        }
    }
}

/// Reads one relay.
fn relay(place: &Place<'_>, inherited: &mut Inherited<'_>) -> Result<RelayConfig, Mistakes> {
    let (named, text) = (place.named, place.text);
    let flags = Flags::of(named.kind);
    let mut wrong = Mistakes::new();
    let side = |key: &str, wrong: &mut Mistakes| {
        place.side(key).map_err(|mistake| wrong.push(mistake)).ok()
    };
    let a = side("a", &mut wrong);
    let b = match named.kind {
        Kind::Relay => side("b", &mut wrong).map(Some),
        Kind::Rendezvous => Some(None),
    };
    let mut own = Vec::new();
    for entry in &named.table.entries {
        match &*entry.key {
            "a" => continue,
            "b" if named.kind == Kind::Relay => continue,
            key if PROCESS.contains(&key) || !flags.has(key) => {
                wrong.push(text.place(flags.unknown(key), entry.key_span.clone()));
                continue;
            }
            _ => {}
        }
        match flags.check(entry, text) {
            Ok(()) => own.push(entry),
            Err(mistakes) => wrong.extend(mistakes),
        }
    }
    let (Some(a), Some(b)) = (a, b) else {
        return Err(wrong);
    };
    let mut inherits: Vec<&Entry> = inherited
        .entries
        .iter()
        .map(|(_, entry)| *entry)
        .filter(|entry| flags.has(&entry.key) && named.table.get(&entry.key).is_none())
        .collect();
    let planned = loop {
        let entries = [&inherits[..], &own].concat();
        let drop_of = |keys: &[String]| inherits.iter().position(|entry| keys.contains(&entry.key));
        match plan(&flags, &entries, &a, b.as_ref()) {
            Ok(planned) => break Ok(planned),
            Err((keys, mistakes)) => match drop_of(&keys) {
                // What holds for all is left out where it would do nothing.
                Some(at) => drop(inherits.remove(at)),
                None => break Err(mistakes),
            },
        }
    };
    match planned {
        Ok((mut plan, words)) if wrong.is_empty() => {
            plan.name.clone_from(&named.name);
            plan.hand_over_by_routes();
            for (_, entry) in &inherited.entries {
                if inherits.iter().any(|used| used.key == entry.key) {
                    inherited.taken.insert(&entry.key);
                }
            }
            Ok(RelayConfig {
                name: named.name.clone(),
                words,
                plan,
            })
        }
        Ok(_) => Err(wrong),
        Err(mistakes) => {
            let sides = [Some(&a), b.as_ref()];
            let placed = mistakes
                .into_iter()
                .map(|mistake| place.place(mistake, sides));
            wrong.extend(placed);
            Err(wrong)
        }
    }
}

type Wrong = (Vec<String>, Mistakes);

fn plan(
    flags: &Flags,
    entries: &[&Entry],
    a: &SideWords,
    b: Option<&SideWords>,
) -> Result<(Plan, RelayWords), Wrong> {
    let mut words: Vec<(&str, Vec<String>)> = entries
        .iter()
        .map(|entry| (&*entry.key, flags.words(entry).unwrap_or_default()))
        .collect();
    words.sort_by_key(|(key, _)| *key);
    let all: Vec<_> = words.iter().flat_map(|(_, words)| words.clone()).collect();
    let given: Vec<_> = words.iter().map(|(key, _)| *key).collect();
    let parsed = flags.parse(&all, [a, b.unwrap_or(a)]).map_err(|error| {
        let (keys, mistake) = of_several(&error, &given);
        let mistake = keys.iter().fold(mistake, |mistake, key| mistake.about(key));
        (keys, vec![mistake])
    })?;
    let planned = match &parsed.0.tool {
        Some(Tool::Rendezvous(rendezvous)) => rendezvous.plan_all(),
        _ => parsed.0.relay.plan_all(),
    };
    let plan = planned.map_err(|mistakes| {
        let keys = mistakes.iter().filter_map(Mistake::key);
        (keys.map(str::to_owned).collect(), mistakes)
    })?;
    let kind = match b {
        Some(_) => Kind::Relay,
        None => Kind::Rendezvous,
    };
    let words = RelayWords {
        kind,
        flags: all,
        a: a.clone(),
        b: b.cloned(),
    };
    Ok((plan, words))
}

// ===== impl Inherited =====

impl Inherited<'_> {
    fn refuse_unused(&self, wrong: &mut Mistakes) {
        for (text, entry) in &self.entries {
            let key = &*entry.key;
            let is_off = matches!(entry.value, Value::Flag(false));
            if PROCESS.contains(&key) || self.taken.contains(key) || is_off {
                continue;
            }
            let message =
                format!("`{key}` would do nothing here: no relay takes it, or each has its own");
            let hint = match option_form(key) {
                Some(_) => "leave it out; options of a side stand there",
                None => "leave it out",
            };
            wrong.push(text.place(Mistake::new(message, hint), entry.key_span.clone()));
        }
    }
}
