//! From tables to relays.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use couplet_connector::endpoint::Side;

use super::{
    Config, RelayConfig, RelayWords, addresses,
    flags::{Flags, PROCESS, PROCESS_OF_RELAYS, Parsed, of_several},
    routes,
    table::{DEFAULTS, Entry, Item, Kind, Named, Table, Tables, Value},
    text::Text,
};
use crate::{
    args::Tool,
    mistake::{Mistake, Mistakes, nearest},
    plan::Plan,
    side::{SideWords, option_form},
};

/// Where a relay is: its file, and the tables there.
struct Place<'a> {
    text: &'a Text,
    named: &'a Named,
}

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
    if places.is_empty() && wrong.is_empty() {
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

fn words_by_key(table: &Table) -> BTreeMap<String, Vec<String>> {
    let flags = Flags::of(Kind::Relay);
    let words = |entry: &Entry| (entry.key.clone(), flags.words(entry).unwrap_or_default());
    table.entries.iter().map(words).collect()
}

/// The flags of the process.
fn process(top: Option<(&Text, &Table)>, wrong: &mut Mistakes) -> Option<Parsed> {
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

// ===== impl Place =====

impl Place<'_> {
    /// Where it begins: `FILE:LINE`.
    fn line(&self) -> String {
        self.text.line_of(self.named.name_span.start)
    }

    /// A mistake about a side as a whole.
    fn place_at(&self, side: Side, mistake: Mistake) -> Mistake {
        let key = match side {
            Side::A => "a",
            Side::B => "b",
        };
        let entry = self.named.table.get(key);
        let span = entry.map_or(self.named.name_span.clone(), |entry| entry.span.clone());
        self.text.place(mistake, span)
    }

    fn side(&self, key: &str) -> Result<SideWords, Mistake> {
        let Some(entry) = self.named.table.get(key) else {
            let kind = self.named.kind.name();
            let message = format!("`{kind}.{}` has no side `{key}`", self.named.name);
            let hint = match (self.named.kind, key) {
                (Kind::Relay, "b") => "`b = \"dial:HOST:PORT\"`",
                _ => "`a = \"listen:HOST:PORT\"`",
            };
            let mistake = Mistake::new(message, hint);
            return Err(self.text.place(mistake, self.named.name_span.clone()));
        };
        match &entry.value {
            Value::One(item) => Ok(item.text.as_str().into()),
            Value::Many(items) if !items.is_empty() => {
                Ok(SideWords::of_parts(items.iter().map(|item| &item.text)))
            }
            _ => {
                let mistake = Mistake::new(
                    "a side is a string, or an array of its parts",
                    format!("`{key} = [\"listen:443\", \"tls=db.pem\"]`"),
                );
                Err(self.text.place(mistake, entry.span.clone()))
            }
        }
    }

    /// The mistake of a plan, at what it is about.
    fn place(&self, mistake: Mistake, [a, b]: [Option<&SideWords>; 2]) -> Mistake {
        let key = mistake.key().map(str::to_owned);
        let entry = key.as_deref().and_then(|key| self.named.table.get(key));
        let Some(entry) = entry else {
            return self.text.place(mistake, self.named.name_span.clone());
        };
        let side = match entry.key.as_str() {
            "a" => a,
            "b" => b,
            _ => None,
        };
        let Some(side) = side else {
            let mut items = entry.items().iter();
            let place = items.find_map(|item| Some(item.part(mistake.span_in(&item.text)?)));
            return self
                .text
                .place(mistake, place.unwrap_or(entry.span.clone()));
        };
        match mistake.span_in(side.text()) {
            Some(span) => {
                let place = in_side(entry, side, span);
                self.text.place(mistake, place)
            }
            // A line of a file that the side names.
            None if mistake.has_place() => self.text.named_at(mistake, entry.span.start),
            None => self.text.place(mistake, entry.span.clone()),
        }
    }
}

/// Where in the file a part of a side is.
fn in_side(entry: &Entry, side: &SideWords, span: Range<usize>) -> Range<usize> {
    in_items(entry.items(), side, span).unwrap_or(entry.span.clone())
}

/// The same, where `listen:` may have been left out.
#[cfg(feature = "admin")]
fn in_short_side(items: &[Item], side: &SideWords, mistake: &Mistake) -> Option<Range<usize>> {
    const LEFT_OUT: &str = "listen:";
    let of_whole = || {
        let span = mistake.span_in(&format!("{LEFT_OUT}{}", side.text()))?;
        let moved = |at: usize| at.saturating_sub(LEFT_OUT.len());
        Some(moved(span.start)..moved(span.end))
    };
    let span = mistake.span_in(side.text()).or_else(of_whole)?;
    in_items(items, side, span)
}

/// A side is one string, or its parts.
fn in_items(items: &[Item], side: &SideWords, span: Range<usize>) -> Option<Range<usize>> {
    if let [word] = items {
        return Some(word.part(span));
    }
    let mut parts = side.spans().iter().zip(items);
    let (part, item) = parts.find(|(part, _)| span.start <= part.end)?;
    let start = span.start.saturating_sub(part.start);
    let end = (span.end.min(part.end)).saturating_sub(part.start);
    Some(item.part(start..end.max(start)))
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
