//! A command line as a file, and back.

use clap::{ArgMatches, Command, CommandFactory, parser::ValueSource};

use super::{
    flags::Flags,
    table::{Kind, Tables},
    text::Text,
    write,
};
use crate::{args::Args, mistake::Mistakes};

/// Writes a command line, the program's name first, as a file, and reads that as a command line again.
/// `None` where the words start no relay.
///
/// # Errors
///
/// The file, where it can't be read, or says something else than the words.
pub fn round_trip(words: &[&str]) -> Option<Result<(), String>> {
    let (command, matches, kind) = relay(words)?;
    let file = match write(&command, &matches, kind) {
        Ok(file) => file,
        Err(mistake) => return Some(Err(format!("{mistake:#}"))),
    };
    let again = words_of(&file, kind).and_then(|again| {
        let again: Vec<_> = again.iter().map(String::as_str).collect();
        let (_, read, _) = relay(&again).ok_or_else(|| format!("no relay: {again:?}"))?;
        match given(&command, &read) == given(&command, &matches) {
            true => Ok(()),
            false => Err(format!("another relay: {again:?}")),
        }
    });
    Some(again.map_err(|wrong| format!("{wrong}\n{file}")))
}

/// The command line that a file with one relay is.
fn words_of(file: &str, kind: Kind) -> Result<Vec<String>, String> {
    let text = Text::of_bytes("written.toml", file.as_bytes().to_vec())
        .map_err(|mistake| format!("{mistake:#}"))?;
    let mut wrong = Mistakes::new();
    let tables = Tables::read(&text, &mut wrong);
    if !wrong.is_empty() {
        return Err(format!("{wrong:?}"));
    }
    let [named] = &tables.named[..] else {
        return Err("it describes not one relay".to_owned());
    };
    if named.kind != kind {
        return Err("it describes another kind of relay".to_owned());
    }
    let flags = Flags::of(kind);
    let mut words = vec!["couplet".to_owned()];
    words.extend((kind == Kind::Rendezvous).then(|| "rendezvous".to_owned()));
    for entry in tables.top.entries.iter().chain(&named.table.entries) {
        match &*entry.key {
            "a" | "b" => {
                let parts = entry.items().iter().map(|item| item.text.clone());
                words.push(parts.collect::<Vec<_>>().join(","));
            }
            _ => words.extend(
                flags
                    .words(entry)
                    .map_err(|mistake| format!("{mistake:#}"))?,
            ),
        }
    }
    Ok(words)
}

fn relay(words: &[&str]) -> Option<(Command, ArgMatches, Kind)> {
    let mut command = Args::command();
    let matches = command.try_get_matches_from_mut(words).ok()?;
    match matches.subcommand() {
        None if matches.value_source("surplus").is_some() => None,
        None => Some((command, matches, Kind::Relay)),
        Some(("rendezvous", of)) => {
            let of = of.clone();
            let rendezvous = command.find_subcommand("rendezvous")?.clone();
            Some((rendezvous, of, Kind::Rendezvous))
        }
        Some(_) => None,
    }
}

/// All that was given.
fn given(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let mut given = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        if matches.value_source(id) == Some(ValueSource::CommandLine) && id != "name" {
            let values = matches.get_raw(id).into_iter().flatten();
            given.push(format!("{id}: {:?}", values.collect::<Vec<_>>()));
        }
    }
    given
}
