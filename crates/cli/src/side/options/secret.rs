//! Secrets and keys are in files: what is on the command line can be read by everybody.

use std::fs;

use crate::mistake::Mistake;

/// What is in the file of `@FILE`; `form` is the option as it should look.
pub(crate) fn read(value: &str, form: &str) -> Result<Vec<u8>, Mistake> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(Mistake::new(
            "every user of this machine can read a secret on the command line",
            format!("write it to a file: `{form}`"),
        ));
    };
    fs::read(path).map_err(|error| {
        Mistake::new(
            format!("`{path}` can't be read: {error}"),
            format!("a file that this user can read: `{form}`"),
        )
    })
}

/// The same, made something of.
pub(crate) fn parse<T>(value: &str, form: &str) -> Result<T, Mistake>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = read(value, form)?;
    let wrong = |why: &str| Mistake::new(format!("`{}`: {why}", &value[1..]), KINDS);
    let text = String::from_utf8(text).map_err(|_| wrong("the file is not text in UTF-8"))?;
    text.trim_end()
        .parse()
        .map_err(|error: T::Err| wrong(&error.to_string()))
}

const KINDS: &str = "`couplet keygen` makes secrets and keys";

/// The line of a file of one.
pub(crate) fn line(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}
