//! Files of keys, of secrets and of users: one a line, with blank lines and comments between them.

use thiserror::Error;

/// A line of a file of keys, secrets or users is invalid.
///
/// The content of the line is not shown: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {wrong}")]
pub struct KeyFileError {
    line: usize,
    column: usize,
    wrong: String,
}

/// A line with content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    number: usize,
    line: &'a str,
}

// ===== impl KeyFileError =====

impl KeyFileError {
    /// The line, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from 1.
    pub const fn column(&self) -> usize {
        self.column
    }
}

// ===== impl Entry =====

/// The lines with content: blank lines and those that begin with `#` are skipped, and so is a byte
/// order mark at the beginning.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    lines
        .map(|(line, number)| Entry { number, line })
        .filter(|entry| {
            let text = entry.text();
            !text.is_empty() && !text.starts_with('#')
        })
}

impl<'a> Entry<'a> {
    /// The content, without the blanks around it.
    pub(crate) fn text(self) -> &'a str {
        self.line.trim()
    }

    /// The whole line, where blanks count.
    #[cfg(any(feature = "connect", feature = "socks"))]
    pub(crate) const fn line(self) -> &'a str {
        self.line
    }

    /// An error at `part`, which is a part of this line.
    pub(crate) fn wrong(self, part: &str, wrong: impl ToString) -> KeyFileError {
        let start = part.as_ptr() as usize - self.line.as_ptr() as usize;
        KeyFileError {
            line: self.number,
            column: self.line[..start].chars().count() + 1,
            wrong: wrong.to_string(),
        }
    }
}

impl KeyFileError {
    /// An error of the file as a whole.
    pub(crate) fn whole(wrong: &str) -> Self {
        Self {
            line: 1,
            column: 1,
            wrong: wrong.to_owned(),
        }
    }
}
