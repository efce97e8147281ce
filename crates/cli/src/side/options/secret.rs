//! Secrets and keys are in files: what is on the command line can be read by everybody.

use std::fs;

/// What is in the file of `@FILE`; `form` is the option as it should look.
pub(crate) fn read(value: &str, form: &str) -> Result<Vec<u8>, String> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(format!(
            "a secret on the command line can be read by everybody on this machine: \
             write it to a file, and `{form}`"
        ));
    };
    fs::read(path).map_err(|error| format!("`{path}` can't be read: {error}"))
}

/// The same, made something of.
pub(crate) fn parse<T>(value: &str, form: &str) -> Result<T, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = read(value, form)?;
    let wrong = |why: &str| format!("`{}` is not what it should be: {why}", &value[1..]);
    let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8"))?;
    text.trim_end()
        .parse()
        .map_err(|error: T::Err| wrong(&error.to_string()))
}

/// The line of a file of one.
pub(crate) fn line(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}
