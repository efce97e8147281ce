//! Files of keys, of secrets and of users: one a line, with blank lines and comments between them.
//!
//! For handshakes that read such a file: an error names the line and the column, and does not show the
//! content.
//!
//! ```
//! use couplet_layers::{KeyFileError, handshake::key_file::entries};
//!
//! /// Lines of `NAME PORT`.
//! fn port_of(file: &str, name: &str) -> Result<Option<u16>, KeyFileError> {
//!     for entry in entries(file) {
//!         let line = entry.text();
//!         let (named, port) = line.split_once(' ').ok_or_else(|| entry.wrong(line, "port missing"))?;
//!         let port = port.parse().map_err(|error| entry.wrong(port, error))?;
//!         if named == name {
//!             return Ok(Some(port));
//!         }
//!     }
//!     Ok(None)
//! }
//!
//! let file = "# ports\nssh 22\nweb eighty\n";
//! assert_eq!(port_of(file, "ssh")?, Some(22));
//! let error = port_of(file, "web").unwrap_err();
//! assert_eq!(error.to_string(), "line 3, column 5: invalid digit found in string");
//! # Ok::<(), KeyFileError>(())
//! ```

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
pub struct Entry<'a> {
    number: usize,
    line: &'a str,
}

// ===== impl KeyFileError =====

impl KeyFileError {
    /// An error of the file as a whole.
    pub fn whole(wrong: &str) -> Self {
        Self {
            line: 1,
            column: 1,
            wrong: wrong.to_owned(),
        }
    }

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
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
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
    pub fn text(self) -> &'a str {
        self.line.trim()
    }

    /// The whole line, where blanks count.
    pub const fn line(self) -> &'a str {
        self.line
    }

    /// An error at `part`, a part of this line's text; for any other text at the beginning of the line.
    pub fn wrong(self, part: &str, wrong: impl ToString) -> KeyFileError {
        let start = (part.as_ptr() as usize).checked_sub(self.line.as_ptr() as usize);
        let before = start.and_then(|start| self.line.get(..start));
        KeyFileError {
            line: self.number,
            column: before.unwrap_or_default().chars().count() + 1,
            wrong: wrong.to_string(),
        }
    }
}
