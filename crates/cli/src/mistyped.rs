//! Command lines that clap refuses: what is wrong, and what was meant.

use std::{env, num::ParseIntError};

use clap::{
    Arg, Command, CommandFactory, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    args::{Args, misspelled_subcommand},
    mistake::{Mistake, alternatives, list, nearest},
    side,
};

/// The same error, in the form of all mistakes.
pub(crate) fn explain(error: Error) -> Error {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
    let mut command = Args::command();
    command.build();
    let tool = tool(&command, &words);
    match meant(&error, &words, tool) {
        Some(mistake) => tool
            .clone()
            .error(ErrorKind::ValueValidation, format!("{mistake:#}")),
        None => error,
    }
}

/// The subcommand that the words name, or the command itself.
fn tool<'a>(mut command: &'a Command, words: &[&str]) -> &'a Command {
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        match command.find_subcommand(word) {
            Some(tool) => command = tool,
            None => break,
        }
    }
    command
}

fn meant(error: &Error, words: &[&str], tool: &Command) -> Option<Mistake> {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let unknown = text(error, ContextKind::InvalidArg)?;
            Some(
                one_hyphen(words)
                    .or_else(|| option_as_flag(unknown))
                    .unwrap_or_else(|| unknown_word(error, unknown, tool)),
            )
        }
        ErrorKind::TooManyValues => {
            let flag = text(error, ContextKind::InvalidArg)?;
            let message = format!("`{flag}` takes no value");
            Some(Mistake::new(message, format!("`{flag}`")))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => wrong_value(error, words),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand)?;
            let known: Vec<_> = tool.get_subcommands().map(Command::get_name).collect();
            let message = format!("`{word}` is not a subcommand of `{}`", name(tool));
            Some(Mistake::unknown(message, word, &known))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let known: Vec<_> = tool.get_subcommands().map(Command::get_name).collect();
            let message = format!("`{}` needs a subcommand", name(tool));
            Some(Mistake::new(message, alternatives(&known)))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(error, ContextKind::InvalidArg);
            match missing.contains(&"<B>") {
                true => missing_side(words, tool),
                false => Some(missing_words(&missing, words, tool)),
            }
        }
        _ => None,
    }
}

fn missing_side(words: &[&str], tool: &Command) -> Option<Mistake> {
    let is_tool = |word: &str| name(tool).ends_with(word);
    let mut given = words
        .iter()
        .filter(|word| !word.starts_with('-') && !is_tool(word));
    let given = given.next();
    if let Some(mistake) = given.and_then(|word| misspelled_subcommand(word)) {
        return Some(mistake);
    }
    let number = if given.is_some() { "one" } else { "no" };
    Some(Mistake::new(
        format!("{number} side is given: a relay has two"),
        format!(
            "as in `{} listen:9000 dial:localhost:22`; `couplet --help` has more examples",
            name(tool)
        ),
    ))
}

/// `couplet keygen`, without the file.
fn missing_words(missing: &[&str], words: &[&str], tool: &Command) -> Mistake {
    let forms: Vec<_> = missing.iter().map(|arg| form(arg)).collect();
    let forms: Vec<_> = forms.iter().map(String::as_str).collect();
    let verb = if forms.len() == 1 { "is" } else { "are" };
    let message = format!("{} {verb} missing", list(&forms, "and"));
    let others = match words.last() {
        Some(last) if !name(tool).ends_with(last) => "… ",
        _ => "",
    };
    let line = format!("{} {others}{}", name(tool), forms.join(" "));
    let line = EXAMPLES
        .iter()
        .fold(line, |line, (form, value)| line.replace(form, value));
    Mistake::new(message, format!("as in `{line}`"))
}

/// A value for each form, so that the hint is a line that runs.
const EXAMPLES: [(&str, &str); 5] = [
    ("--fault=[DIRECTION:]FAULT", "--fault=latency:200ms"),
    ("LISTEN", "listen:*:4000"),
    ("FILE|DIR", "couplet.toml"),
    ("SHELL", "bash"),
    ("TIME", "1h"),
];

/// `--idle-timeout`, `--idle-timeout=5` or `--log-format=jsno`.
fn wrong_value(error: &Error, words: &[&str]) -> Option<Mistake> {
    let arg = text(error, ContextKind::InvalidArg)?;
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let valid = texts(error, ContextKind::ValidValue);
    let flag = arg.split([' ', '[', '=']).next().unwrap_or_default();
    if value.is_empty() && flag.starts_with("--") {
        let values = match valid.is_empty() {
            true => hint_of_no_value(error, flag, words),
            false => Some(alternatives(&valid)),
        };
        let values = values.map_or(String::new(), |values| format!(": {values}"));
        let hint = format!("`{}`{values}", form(arg));
        return Some(Mistake::new(format!("`{flag}` needs a value"), hint));
    }
    let whole = match flag.starts_with("--") {
        true => format!("{flag}={value}"),
        false => value.to_owned(),
    };
    let span = whole.len() - value.len()..whole.len();
    let mistake = match (mistake_in(error), std::error::Error::source(error)) {
        (Some(mistake), _) => mistake.clone(),
        (None, Some(why)) if why.is::<ParseIntError>() => {
            Mistake::new(format!("`{value}` is not a number"), "a whole number")
        }
        // The text of another crate's error says both already.
        (None, Some(_)) => return None,
        (None, None) => Mistake::unknown(
            format!("`{value}` is not a value of `{}`", form(flag)),
            value,
            &valid,
        ),
    };
    Some(mistake.at(&whole, span))
}

/// What the flag says to an empty value.
fn hint_of_no_value(error: &Error, flag: &str, words: &[&str]) -> Option<String> {
    if let Some(mistake) = mistake_in(error) {
        return Some(mistake.hint().to_owned());
    }
    let empty = format!("{flag}=");
    let words = words.iter().map(|word| match *word == flag {
        true => empty.as_str(),
        false => word,
    });
    let error = Args::command()
        .try_get_matches_from(["couplet"].into_iter().chain(words))
        .err()?;
    mistake_in(&error).map(|mistake| mistake.hint().to_owned())
}

/// What a parser of the command said.
fn mistake_in(error: &Error) -> Option<&Mistake> {
    std::error::Error::source(error)?.downcast_ref()
}

fn conflict(error: &Error) -> Option<Mistake> {
    let flag = form(text(error, ContextKind::InvalidArg)?);
    let others = texts(error, ContextKind::PriorArg);
    let other = form(others.first()?);
    let [flag, other] = [&flag, &other].map(|form| form.split('=').next().unwrap_or_default());
    Some(match flag == other {
        true => Mistake::new(format!("`{flag}` is given twice"), "give it once"),
        false => Mistake::new(
            format!("`{flag}` and `{other}` contradict each other"),
            "leave one of them out",
        ),
    })
}

fn unknown_word(error: &Error, unknown: &str, tool: &Command) -> Mistake {
    if !unknown.starts_with('-') {
        let words: Vec<_> = tool.get_positionals().map(Arg::to_string).collect();
        let words: Vec<_> = words.iter().map(|word| form(word)).collect();
        let line = format!("{} {}", name(tool), words.join(" "));
        return Mistake::new(
            format!("`{unknown}` is one word too many"),
            format!("as in `{}`", line.trim_end()),
        );
    }
    let message = format!("`{unknown}` is not a flag of `{}`", name(tool));
    match text(error, ContextKind::SuggestedArg) {
        Some(near) => {
            let near = form(near);
            let near = near.split('=').next().unwrap_or_default();
            Mistake::new(message, format!("did you mean `{near}`?"))
        }
        None => Mistake::new(message, format!("`{} --help` lists them", name(tool))),
    }
}

/// `-idle-timeout=1s`: to clap the flag `-i`.
fn one_hyphen(words: &[&str]) -> Option<Mistake> {
    let command = Args::command();
    let flags: Vec<_> = command.get_arguments().filter_map(Arg::get_long).collect();
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

/// `couplet` or `couplet TOOL`.
fn name(tool: &Command) -> &str {
    tool.get_bin_name().unwrap_or("couplet")
}

/// `--admin <ADDR>` as it is written: `--admin=ADDR`; `[NUMBER]...` is `NUMBER`.
fn form(arg: &str) -> String {
    let arg = arg.trim_end_matches("...");
    let arg = arg
        .strip_prefix('[')
        .map_or(arg, |arg| arg.trim_end_matches(']'));
    arg.replace(" <", "=").replace(['<', '>'], "")
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

fn texts(error: &Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
