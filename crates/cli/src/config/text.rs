//! The text of a file, and where in it a mistake is.

use std::{fs, ops::Range, path::Path};

use crate::{
    mistake::{Mistake, Position},
    side::secrets,
};

/// The most that a file may have: more is no configuration.
const LONGEST: u64 = 1024 * 1024;

/// A file of the configuration.
#[derive(Debug)]
pub(crate) struct Text {
    /// How it is called in messages.
    name: String,
    text: String,
}

// ===== impl Text =====

impl Text {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Mistake> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            let message = format!("`{name}` can't be read: {error}");
            Mistake::new(
                message,
                "a file that this user can read, as docs/service.md has it",
            )
        };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > LONGEST {
            let message = format!("`{name}` has {length} bytes");
            return Err(Mistake::new(message, "1 MiB at most"));
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        Self::of_bytes(name, bytes)
    }

    /// A file's content.
    pub(super) fn of_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Mistake> {
        let name = name.into();
        match String::from_utf8(bytes) {
            // What a byte order mark marks is clear.
            Ok(text) => Ok(Self {
                name,
                text: text.trim_start_matches('\u{feff}').to_owned(),
            }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let wrong = Mistake::new("the file is not text in UTF-8", "a file in UTF-8");
                Err(Self { name, text }.place(wrong, at..at))
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The file and the line of a place in it, for another mistake.
    pub(crate) fn line_of(&self, at: usize) -> String {
        format!("{}:{}", self.name, self.position(at).0)
    }

    /// The mistake at this place: it names the file, line and column, and shows the line without secrets.
    pub(super) fn place(&self, mistake: Mistake, span: Range<usize>) -> Mistake {
        let (number, start) = self.position(span.start);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let end = span.end.min(start + line.len()).max(span.start);
        let within = (span.start - start).min(line.len())..(end - start).min(line.len());
        let indent = line.len() - line.trim_start().len();
        let indent = indent.min(within.start);
        let moved = mistake
            .outside()
            .moved(&line[indent..], within.start - indent..within.end - indent)
            .hide(&line[indent..], secrets::in_line(&line[indent..]));
        moved.at_position(self.position_of(number, &line[..within.start]))
    }

    /// The mistake, which is in another file that this place names.
    pub(super) fn named_at(&self, mistake: Mistake, at: usize) -> Mistake {
        let (number, start) = self.position(at);
        mistake.at_position(self.position_of(number, &self.text[start..at]))
    }

    fn position_of(&self, line: usize, before: &str) -> Position {
        Position {
            file: self.name.clone(),
            line,
            column: before.chars().count() + 1,
        }
    }

    /// The number of the line, from 1, and where it starts.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at.min(self.text.len())];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, start)
    }
}
