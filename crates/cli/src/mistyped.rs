//! Words of the command line that clap does not know: what was meant.

use std::env;

use clap::{
    CommandFactory, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    args::{Args, misspelled_subcommand},
    mistake::{Mistake, nearest},
    side,
};

/// The same error, or one that says what was meant.
pub(crate) fn explain(error: Error) -> Error {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
    match meant(&error, &words) {
        Some(mistake) => Args::command().error(ErrorKind::ValueValidation, format!("{mistake:#}")),
        None => error,
    }
}

fn meant(error: &Error, words: &[&str]) -> Option<Mistake> {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
                return None;
            };
            one_hyphen(words).or_else(|| option_as_flag(unknown))
        }
        ErrorKind::TooManyValues => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => Some(Mistake::new(
                format!("`{flag}` takes no value"),
                format!("`{flag}`"),
            )),
            _ => None,
        },
        ErrorKind::MissingRequiredArgument => {
            let mut given = words.iter().filter(|word| !word.starts_with('-'));
            match (given.next(), given.next()) {
                (None, _) => Some(too_few_sides("no side is given: a relay has two")),
                (Some(word), None) if is_subcommand(word) => None,
                (Some(word), None) => misspelled_subcommand(word)
                    .or_else(|| Some(too_few_sides("one side is given: a relay has two"))),
                _ => None,
            }
        }
        _ => None,
    }
}

fn too_few_sides(message: &str) -> Mistake {
    Mistake::new(
        message,
        "as in `couplet listen:9000 dial:localhost:22`; `couplet --help` has more examples",
    )
}

fn is_subcommand(word: &str) -> bool {
    Args::command().find_subcommand(word).is_some()
}

/// `-idle-timeout=1s`: to clap the flag `-i`.
fn one_hyphen(words: &[&str]) -> Option<Mistake> {
    let command = Args::command();
    let flags: Vec<_> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    words.iter().find_map(|word| {
        let flag = word
            .strip_prefix('-')
            .filter(|flag| !flag.starts_with('-'))?;
        let (name, value) = flag
            .split_once('=')
            .map_or((flag, None), |(n, v)| (n, Some(v)));
        let meant = nearest(name, flags.iter().copied()).filter(|_| name.len() > 2)?;
        let message = format!("`-{name}` has one hyphen");
        let value = value.map_or(String::new(), |value| format!("={value}"));
        Some(Mistake::new(message, format!("`--{meant}{value}`")))
    })
}

/// `--token=@FILE`.
fn option_as_flag(unknown: &str) -> Option<Mistake> {
    let name = unknown.trim_start_matches('-').split('=').next()?;
    let form = side::option_form(name)?;
    let message = format!("`--{name}` is not a flag, but an option of a side");
    Some(Mistake::new(
        message,
        format!("behind the side it is for: `listen:9000,{form}`"),
    ))
}
