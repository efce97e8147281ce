use std::fmt::Write;

use couplet_connector::endpoint::AddressError;

use super::{
    Given, Word,
    options::{ALL, LEFT_OUT, On, SideOption, Value},
};

/// The options of a side, a line each.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for (on, title) in [
        (On::Either, "Options of a side:"),
        (On::Listen, "Of a listening side:"),
        (On::Dial, "Of a dialled side:"),
    ] {
        let _ = writeln!(text, "{title}");
        for option in ALL.iter().filter(|option| option.on == on) {
            line(&mut text, 2, &form(option), option.help);
            for setting in option.settings {
                let form = format!("{}.{}={}", option.name, setting.name, setting.value);
                line(&mut text, 4, &form, setting.help);
            }
        }
    }
    text
}

fn line(text: &mut String, indent: usize, form: &str, help: &str) {
    let width = 40 - indent;
    let _ = writeln!(text, "{:indent$}{form:width$}  {help}", "");
}

fn form(option: &SideOption) -> String {
    let name = option.name;
    match option.value {
        Value::None => name.to_owned(),
        Value::Needed(value) => format!("{name}={value}"),
        Value::Optional(value) => format!("{name}[={value}]"),
    }
}

/// What a listening or a dialled side may have.
pub(super) fn names(dialled: bool) -> String {
    let (wrong, side) = match dialled {
        true => (On::Listen, "dialled"),
        false => (On::Dial, "listening"),
    };
    let fits = ALL.iter().filter(|option| option.on != wrong);
    let names: Vec<_> = fits.map(|option| option.name).collect();
    format!("a {side} side has {}", names.join(", "))
}

/// There is no such option: what was meant, if that can be told, or what there is.
pub(super) fn unknown(
    word: Word<'_>,
    name: Word<'_>,
    before: Option<(&SideOption, &Given<'_>)>,
) -> AddressError {
    let option = name.text.split('.').next().unwrap_or_default();
    if LEFT_OUT.contains(&option) {
        let message = format!("this program was built without `{option}`");
        return name.wrong(message, format!("one built with `--features {option}`"));
    }
    let message = format!("`{}` is not an option of a side", name.text);
    // A second value of what stands before it.
    if let Some((option, given)) = before
        && given.settings.is_empty()
        && let (Value::Needed(form) | Value::Optional(form), Some(value)) =
            (option.value, given.value())
        && form.contains("+…")
        && (word.text.starts_with(|c: char| c.is_ascii_digit()) || word.text.contains("::"))
    {
        let joined = format!("`{}={}+{}`", option.name, value.text, word.text);
        return word.wrong(
            message,
            format!("more than one are joined by `+`: {joined}"),
        );
    }
    let meant = name.text.trim().replace('_', "-").to_ascii_lowercase();
    let near = ALL.iter().map(|option| {
        let distance = strsim::damerau_levenshtein(option.name, &meant);
        (distance, option.name)
    });
    match near.min() {
        Some((0, right)) => name.wrong(message, format!("it is written `{right}`, without blanks")),
        Some((1 | 2, right)) if meant.len() > 3 => name.wrong(message, format!("is it `{right}`?")),
        _ => name.wrong(message, all_names()),
    }
}

pub(super) fn all_names() -> String {
    let of = |on| {
        let fits = ALL.iter().filter(move |option| option.on == on);
        let names: Vec<_> = fits.map(|option| option.name).collect();
        names.join(", ")
    };
    let (either, listen, dial) = (of(On::Either), of(On::Listen), of(On::Dial));
    format!("{either}; on listen: {listen}; on dial: {dial}")
}

pub(super) fn setting_names(option: &SideOption) -> String {
    if option.settings.is_empty() {
        return "it has none".into();
    }
    let names = option.settings.iter().map(|setting| setting.name);
    names.collect::<Vec<_>>().join(", ")
}
