use std::{fmt, str::FromStr, sync::Arc};

use super::{AddressError, error::Mistake, parse::fail};

/// A program and its arguments: `exec:PROGRAM ARGS`.
///
/// Blanks separate the words, and a part in `'…'` or `"…"` is taken as it is; there are no other special
/// characters, **and no shell**: `exec:sh -c 'a | b'` starts one. [`Display`](fmt::Display) writes a form
/// that is read as the same words.
///
/// ```
/// use couplet_endpoint::ExecAddr;
///
/// let addr: ExecAddr = "exec:grep -e 'a b'".parse()?;
/// assert_eq!(addr.program(), "grep");
/// assert!(addr.args().eq(["-e", "a b"]));
/// assert_eq!(addr, ExecAddr::new("grep", ["-e", "a b"])?);
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecAddr {
    /// The program, then its arguments.
    words: Arc<[Box<str>]>,
}

pub(super) const KIND: &str = "exec:";

const FORM: &str = "`exec:PROGRAM ARGS`";

// ===== impl ExecAddr =====

impl ExecAddr {
    /// A program, by its name or its path, and its arguments.
    ///
    /// # Errors
    ///
    /// [`AddressError`] where the program is empty, or a word has a control character.
    pub fn new<'a>(
        program: &'a str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        let words: Arc<[Box<str>]> = [program].into_iter().chain(args).map(Into::into).collect();
        for word in &*words {
            shows(word, 0)?;
        }
        match program {
            "" => fail(program, 0..0, Mistake::new("a program is missing", FORM)),
            _ => Ok(Self { words }),
        }
    }

    /// The program: a path, or a name that is looked for in `PATH`.
    pub fn program(&self) -> &str {
        &self.words[0]
    }

    /// The arguments.
    pub fn args(&self) -> impl Iterator<Item = &str> {
        self.words[1..].iter().map(|word| &**word)
    }

    /// Where an address at the beginning of `text` ends: before the first comma that stands in no
    /// quotes. For a text with more behind the address.
    pub fn end_in(text: &str) -> usize {
        let mut quote = None;
        let end = text.char_indices().find(|(_, c)| {
            match (quote, *c) {
                (None, ',') => return true,
                (None, '\'' | '"') => quote = Some(*c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            false
        });
        end.map_or(text.len(), |(at, _)| at)
    }

    /// Reads a whole address.
    pub(super) fn read(input: &str) -> Result<Self, AddressError> {
        let Some(text) = input.strip_prefix(KIND) else {
            return fail(input, 0..0, Mistake::new("`exec:` is missing", FORM));
        };
        shows(input, KIND.len())?;
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for (at, c) in text.char_indices() {
            match (quote, c) {
                (None, '\'' | '"') => {
                    quote = Some((at, c));
                    word.get_or_insert_default();
                }
                (Some((_, open)), c) if open == c => quote = None,
                (None, ' ') => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        if let Some((at, open)) = quote {
            let at = KIND.len() + at;
            let mistake = Mistake::new("the quote is not closed", format!("a second `{open}`"));
            return fail(input, at..at + 1, mistake);
        }
        words.extend(word);
        match words.first() {
            None => fail(
                input,
                KIND.len()..input.len(),
                Mistake::new("a program is missing", FORM),
            ),
            Some(program) if program.is_empty() => fail(
                input,
                KIND.len()..input.len(),
                Mistake::new("the program's name is empty", FORM),
            ),
            Some(_) => Ok(Self {
                words: words.into_iter().map(Into::into).collect(),
            }),
        }
    }
}

fn shows(text: &str, from: usize) -> Result<(), AddressError> {
    let control = text[from..].char_indices().find(|(_, c)| c.is_control());
    control.map_or(Ok(()), |(at, c)| {
        let at = from + at;
        let mistake = Mistake::new(
            "an address has no control character",
            "leave it out, or write a script",
        );
        fail(text, at..at + c.len_utf8(), mistake)
    })
}

impl FromStr for ExecAddr {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        Self::read(input)
    }
}

impl fmt::Display for ExecAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KIND)?;
        for (at, word) in self.words.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            match word.is_empty() || word.contains([' ', ',', '\'', '"']) {
                true if word.contains('\'') => {
                    // A part between two `'` at a time.
                    let parts = word.split('\'');
                    for (at, part) in parts.enumerate() {
                        if at > 0 {
                            f.write_str("\"'\"")?;
                        }
                        if !part.is_empty() {
                            write!(f, "'{part}'")?;
                        }
                    }
                }
                true => write!(f, "'{word}'")?,
                false => f.write_str(word)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_blanks_and_joined_by_quotes() {
        for (text, words) in [
            ("exec:cat", &["cat"][..]),
            ("exec: cat  -n ", &["cat", "-n"]),
            ("exec:sh -c 'a | b, c'", &["sh", "-c", "a | b, c"]),
            ("exec:a\"b 'c\"d", &["ab 'cd"]),
            ("exec:a '' \"\"", &["a", "", ""]),
            (r"exec:a \ $HOME *", &["a", r"\", "$HOME", "*"]),
        ] {
            let addr: ExecAddr = text.parse().unwrap();
            let read: Vec<_> = [addr.program()].into_iter().chain(addr.args()).collect();
            assert_eq!(read, words, "{text}");
            assert_eq!(addr.to_string().parse(), Ok(addr.clone()), "{addr}");
        }
    }

    #[test]
    fn an_address_ends_before_a_comma_that_is_not_quoted() {
        for (text, address) in [
            ("exec:cat,x", "exec:cat"),
            ("exec:echo 'a,b' \"c,'\",x=1,y", "exec:echo 'a,b' \"c,'\""),
            ("exec:echo 'a,b", "exec:echo 'a,b"),
        ] {
            assert_eq!(&text[..ExecAddr::end_in(text)], address);
        }
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        for (text, at, message) in [
            ("exec:", 5..5, "a program is missing"),
            ("exec:  ", 5..7, "a program is missing"),
            ("exec:'' a", 5..9, "the program's name is empty"),
            ("exec:a 'b", 7..8, "the quote is not closed"),
            ("exec:a\nb", 6..7, "an address has no control character"),
            ("cat", 0..0, "`exec:` is missing"),
        ] {
            let error = text.parse::<ExecAddr>().unwrap_err();
            assert_eq!((error.span(), error.message()), (at, message), "{text:?}");
        }
        assert!(ExecAddr::new("", []).is_err());
        assert!(ExecAddr::new("a", ["b\0"]).is_err());
    }
}
