//! Secrets and keys are in files: every user of the machine can read a command line.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{credential, mistake::Mistake};

/// Is a secret that other users may read an error?
static STRICT: AtomicBool = AtomicBool::new(false);

/// From now on a secret that other users may read is an error, or a warning.
pub(crate) fn be_strict(is_strict: bool) {
    STRICT.store(is_strict, Ordering::Relaxed);
}

/// What is in the file of `@FILE`; `form` is the option as it should look.
pub(crate) fn read(value: &str, form: &str) -> Result<Vec<u8>, Mistake> {
    read_checked(value, form, check_mode)
}

fn read_checked(
    value: &str,
    form: &str,
    check: fn(&Path) -> Result<(), Mistake>,
) -> Result<Vec<u8>, Mistake> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(Mistake::new(
            "every user of this machine can read a secret on the command line",
            format!("write it to a file: `{form}`"),
        ));
    };
    let path = credential::path(path)?;
    check(Path::new(&*path))?;
    fs::read(&*path).map_err(|error| {
        Mistake::new(
            format!("`{path}` can't be read: {error}"),
            format!("a file that this user can read: `{form}`"),
        )
    })
}

/// A secret that other users may change is no secret, and an error; one that they may read is a
/// warning. Pipes and the like are not checked.
pub(crate) fn check_mode(path: &Path) -> Result<(), Mistake> {
    check_writers(path)?;
    let path = match others_may(path, OTHERS_READ) {
        true => path.display(),
        false => return Ok(()),
    };
    if STRICT.load(Ordering::Relaxed) {
        return Err(Mistake::new(
            format!("every user of this machine can read the secret `{path}`"),
            format!("`chmod 600 {path}`"),
        ));
    }
    tracing::warn!(%path, "every user of this machine can read this secret: chmod 600");
    Ok(())
}

/// A file that other users may change lets in clients of their choice.
fn check_writers(path: &Path) -> Result<(), Mistake> {
    match others_may(path, OTHERS_WRITE) {
        true => Err(Mistake::new(
            format!("every user of this machine can write `{}`", path.display()),
            format!("`chmod 600 {}`", path.display()),
        )),
        false => Ok(()),
    }
}

const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ: u32 = 0o004;

/// Whether other users have this permission of a file.
#[cfg(unix)]
fn others_may(path: &Path, permission: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & permission != 0)
}

#[cfg(not(unix))]
fn others_may(_: &Path, _: u32) -> bool {
    false
}

/// The secret, made something of.
pub(crate) fn parse<T>(value: &str, form: &str) -> Result<T, Mistake>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    parse_text(value, read(value, form)?)
}

/// Public keys, made something of: every user may read them.
pub(crate) fn parse_public<T>(value: &str, form: &str) -> Result<T, Mistake>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    parse_text(value, read_checked(value, form, check_writers)?)
}

fn parse_text<T>(value: &str, text: Vec<u8>) -> Result<T, Mistake>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let wrong = |why: &str| Mistake::new(format!("`{}`: {why}", &value[1..]), KINDS);
    let text = String::from_utf8(text).map_err(|_| wrong("the file is not text in UTF-8"))?;
    text.trim_start_matches(MARK)
        .trim_end()
        .parse()
        .map_err(|error: T::Err| wrong(&error.to_string()))
}

const KINDS: &str = "`couplet keygen` makes secrets and keys";

/// The byte order mark that some editors write.
const MARK: char = '\u{feff}';

/// The one line of the file of `@FILE`; `form` is the option as it should look.
pub(crate) fn line(value: &str, form: &str) -> Result<Vec<u8>, Mistake> {
    let text = read(value, form)?;
    let line = one_line(&text).map_err(|why| {
        Mistake::new(
            format!("`{}`: {why}", &value[1..]),
            "a file of one line, the secret, as `couplet keygen --kind=secret FILE` makes it",
        )
    });
    line.map(<[u8]>::to_vec)
}

/// The secret of a file. What an editor may add does not make it another secret: a byte order mark and
/// blank lines are no part of it, and what might be meant in two ways is an error.
fn one_line(text: &[u8]) -> Result<&[u8], &'static str> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err("the file is UTF-16, not UTF-8");
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut lines = lines.by_ref().filter(|line| !line.trim_ascii().is_empty());
    let line = lines.next().ok_or("the file is empty")?;
    if lines.next().is_some() {
        return Err("the file has more than one line");
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.trim_ascii().len() == line.len() {
        true => Ok(line),
        false => Err("the line begins or ends with a blank"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_line_break_is_no_part_of_a_secret() {
        for text in [
            "a secret",
            "a secret\n",
            "a secret\r\n",
            "\u{feff}a secret\n",
            "\n\na secret\n",
            "a secret\n\n",
            "\u{feff}\r\na secret\r\n \r\n",
        ] {
            assert_eq!(one_line(text.as_bytes()), Ok(&b"a secret"[..]), "{text:?}");
        }
    }

    #[test]
    fn an_ambiguous_secret_is_an_error() {
        for (text, why) in [
            (&b""[..], "is empty"),
            (b"\n \n", "is empty"),
            (b"one\ntwo\n", "more than one line"),
            (b"a secret \n", "a blank"),
            (b"\ta secret\n", "a blank"),
            (b"\xff\xfea\0", "UTF-16"),
        ] {
            let told = one_line(text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
