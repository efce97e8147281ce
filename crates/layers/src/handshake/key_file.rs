//! Files of keys: one a line, with blank lines and comments between them.

use thiserror::Error;

/// A line of a file of keys is not what it should be.
///
/// What stands in the line is not shown: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {wrong}")]
pub struct KeyFileError {
    line: usize,
    column: usize,
    wrong: String,
}

/// A line that says something.
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

/// The lines that say something: blank ones are passed over, and those that begin with `#`.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let lines = text.lines().zip(1..);
    lines
        .map(|(line, number)| Entry { number, line })
        .filter(|entry| {
            let said = entry.text();
            !said.is_empty() && !said.starts_with('#')
        })
}

impl<'a> Entry<'a> {
    /// What it says, without the blanks around it.
    pub(crate) fn text(self) -> &'a str {
        self.line.trim()
    }

    /// Something is wrong with `part`, which is a part of this line.
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
    /// The file is wrong as a whole.
    pub(crate) fn whole(wrong: &str) -> Self {
        Self {
            line: 1,
            column: 1,
            wrong: wrong.to_owned(),
        }
    }
}
