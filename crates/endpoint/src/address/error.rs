use std::{error::Error, fmt, ops::Range};

/// The error of a text that is not an address: what is wrong, what would be right, and where.
///
/// `{}` shows one line, the [message](Self::message) and the [hint](Self::hint); `{:#}` adds the
/// input with carets under the wrong part:
///
/// ```text
/// a dialled address needs a host: `dial:HOST:PORT`
///   dial:9000
///        ^^^^
/// ```
///
/// Control characters and other invisible ones are shown escaped, so that no input reaches a
/// terminal raw. Where the address is part of something longer (a configuration file), make a report
/// of your own from [`message`](Self::message), [`hint`](Self::hint) and [`span`](Self::span).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    input: String,
    span: Range<usize>,
    message: String,
    hint: String,
}

// ===== impl AddressError =====

impl AddressError {
    pub(super) fn new(input: &str, span: Range<usize>, mistake: Mistake) -> Self {
        Self {
            input: input.to_owned(),
            span,
            message: mistake.message,
            hint: mistake.hint,
        }
    }

    /// An error of a larger grammar that has addresses in it: `input` is wrong at `span`, `message`
    /// says how, and `hint` what would be right. The three texts may hold any character.
    ///
    /// # Panics
    ///
    /// If the span does not lie on character boundaries within the input.
    pub fn of(input: &str, span: Range<usize>, message: &str, hint: &str) -> Self {
        assert!(input.get(span.clone()).is_some(), "a span of the input");
        Self::new(input, span, Mistake::new(message, hint))
    }

    /// The text that is not an address, raw.
    pub fn input(&self) -> &str {
        &self.input
    }

    pub(crate) fn shown_input(&self) -> String {
        shown(&self.input)
    }

    /// What is wrong, in a few words; free of control characters.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be right; free of control characters.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The wrong part of the [`input`](Self::input), in bytes and at character boundaries. Empty
    /// where something is missing.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.hint)?;
        if f.alternate() {
            let before = shown(&self.input[..self.span.start]);
            let wrong = shown(&self.input[self.span.clone()]);
            let after = shown(&self.input[self.span.end..]);
            let (indent, width) = (before.chars().count(), wrong.chars().count().max(1));
            write!(f, "\n  {before}{wrong}{after}")?;
            write!(f, "\n  {:indent$}{:^<width$}", "", "")?;
        }
        Ok(())
    }
}

impl Error for AddressError {}

/// A message and a hint, before the place is known.
#[derive(Debug)]
pub(super) struct Mistake {
    message: String,
    hint: String,
}

impl Mistake {
    /// Both texts may quote the input.
    pub(super) fn new(message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self {
            message: shown(message.as_ref()),
            hint: shown(hint.as_ref()),
        }
    }
}

/// The text with invisible characters escaped.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}
