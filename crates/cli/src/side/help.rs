use std::fmt::Write;

use super::options::{ALL, On, SideOption, Value};

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
    let wrong = if dialled { On::Listen } else { On::Dial };
    let fits = ALL.iter().filter(|option| option.on != wrong);
    fits.map(|option| option.name)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn all_names() -> String {
    let of = |on| {
        let fits = ALL.iter().filter(move |option| option.on == on);
        fits.map(|option| option.name)
            .collect::<Vec<_>>()
            .join(", ")
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
