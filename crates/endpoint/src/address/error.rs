use std::{error::Error, fmt, ops::Range};

/// What is not an address, and why.
///
/// Shown with `{}` it is one line, what is wrong and what would be right; with `{:#}` the input
/// and a caret under the place follow:
///
/// ```text
/// a dialled address needs a host: `dial:HOST:PORT`
///   dial:9000
///        ^^^^
/// ```
///
/// Control characters, and others that don't show, are shown escaped, so that the input can't
/// reach a terminal raw. Where the address is a part of something longer (a configuration file),
/// [`message`](Self::message), [`hint`](Self::hint) and [`span`](Self::span) are what such a
/// report is made of.
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

    /// For a grammar that an address is a part of: what is wrong with `input` at `span`, and what
    /// would be right. All three texts may hold anything.
    ///
    /// # Panics
    ///
    /// If the span does not lie on character boundaries within the input.
    pub fn of(input: &str, span: Range<usize>, message: &str, hint: &str) -> Self {
        assert!(input.get(span.clone()).is_some(), "a span of the input");
        Self::new(input, span, Mistake::new(message, hint))
    }

    /// What was to be an address, raw.
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

    /// Where it is wrong: bytes of the [`input`](Self::input), at character boundaries. Empty
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

/// What is wrong and what would be right, before it is known where.
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

/// The text with what doesn't show escaped.
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
