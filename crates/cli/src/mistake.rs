//! A mistake in a command line or a file: the thing, its place, and the remedy.

use std::{error::Error, fmt, ops::Range};

use couplet_connector::endpoint::{AddressError, Side};

/// A mistake on the command line, or in a file that the command line names.
///
/// With `{}` one line, for a log; with `{:#}` for a terminal:
///
/// ```text
/// side A: a time needs a unit
///   listen:9000,user-timeout=30
///                            ^^
///   tip: `30s`, `30ms` or `30m`
/// ```
///
/// No text holds a character that does not show, whatever the input holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    message: String,
    hint: String,
    /// The place within what it is a part of, outermost first: `side A`, `routes.txt, line 3`.
    within: Vec<String>,
    place: Option<Box<Place>>,
    in_file: Option<Box<InFile>>,
}

/// What a file of the configuration has to do with a mistake.
#[derive(Clone, Debug, Default, PartialEq)]
struct InFile {
    /// The key that it is about, as a file has it: a flag's name, or `a` or `b`.
    key: Option<String>,
    /// Where it is.
    position: Option<Position>,
}

/// A place in a file, counted from 1. Positions are in the order of files, then of places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// In characters.
    pub(crate) column: usize,
}

/// More than one mistake, in the order of the input.
pub(crate) type Mistakes = Vec<Mistake>;

/// The first of several mistakes.
pub(crate) fn first(mut mistakes: Mistakes) -> Mistake {
    mistakes.swap_remove(0)
}

/// A span of a text: of the word of a side, or of a line of a file.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    text: String,
    span: Range<usize>,
}

// ===== impl Mistake =====

impl Mistake {
    /// What is wrong, and what would be right. Both may quote the input, but no secret.
    pub(crate) fn new(message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self {
            message: shown(message.as_ref()),
            hint: shown(hint.as_ref()),
            within: Vec::new(),
            place: None,
            in_file: None,
        }
    }

    /// A word that is none of those that are known: the hint is the nearest, or all of them.
    pub(crate) fn unknown(message: impl AsRef<str>, word: &str, known: &[&str]) -> Self {
        let hint = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => alternatives(known),
        };
        Self::new(message, hint)
    }

    /// The same, at this span of the text; the innermost place stays.
    pub(crate) fn at(mut self, text: &str, span: Range<usize>) -> Self {
        if self.place.is_none() {
            self.place = Some(Box::new(Place {
                text: text.to_owned(),
                span,
            }));
        }
        self
    }

    /// Where it is in its line, counted in characters from 1.
    pub(crate) fn column(&self) -> usize {
        let place = self.place.as_deref();
        place.map_or(1, |place| {
            place.text[..place.span.start].chars().count() + 1
        })
    }

    /// The same, in a part of something larger, such as `side A`.
    pub(crate) fn within(mut self, part: impl Into<String>) -> Self {
        self.within.insert(0, shown(&part.into()));
        self
    }

    /// The same, about a side.
    pub(crate) fn in_side(self, side: Side) -> Self {
        let key = match side {
            Side::A => "a",
            Side::B => "b",
        };
        self.within(format!("side {side}")).about(key)
    }

    /// The same, about this flag, `--NAME`, or side; the innermost stays.
    pub(crate) fn about(mut self, key: &str) -> Self {
        let in_file = self.in_file.get_or_insert_default();
        in_file
            .key
            .get_or_insert_with(|| key.trim_start_matches("--").to_owned());
        self
    }

    /// The key that it is about.
    pub(crate) fn key(&self) -> Option<&str> {
        self.in_file.as_ref()?.key.as_deref()
    }

    /// Where in this text it is, if it is there.
    pub(crate) fn span_in(&self, text: &str) -> Option<Range<usize>> {
        let place = self.place.as_deref();
        Some(place.filter(|place| place.text == text)?.span.clone())
    }

    /// Has it a place in a text?
    pub(crate) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// The same, at this span of a text in place of the former, and no more in a side.
    pub(crate) fn moved(mut self, text: &str, span: Range<usize>) -> Self {
        self.place = None;
        self.at(text, span)
    }

    /// The same, in a file of the configuration.
    pub(crate) fn at_position(mut self, position: Position) -> Self {
        let within = format!("{}:{}:{}", position.file, position.line, position.column);
        self.in_file.get_or_insert_default().position = Some(position);
        self.within(within)
    }

    /// What is wrong.
    #[cfg(feature = "admin")]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What would be right.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// Where in a file of the configuration it is.
    pub(crate) fn position(&self) -> Option<&Position> {
        self.in_file.as_ref()?.position.as_ref()
    }

    /// The same, no more in what it is a part of.
    pub(crate) fn outside(mut self) -> Self {
        self.within.clear();
        self
    }

    /// The same; where the place is in this text, its secrets, spans in ascending order, are shown
    /// as `…`.
    pub(crate) fn hide(
        mut self,
        text: &str,
        secrets: impl IntoIterator<Item = Range<usize>>,
    ) -> Self {
        if let Some(place) = self.place.take_if(|place| place.text == text) {
            self.place = Some(Box::new(place.hide(secrets)));
        }
        self
    }

    /// The same, with one more alternative in the hint, unless that is a guess.
    pub(crate) fn or(mut self, other: &str) -> Self {
        if !self.hint.ends_with('?') {
            self.hint = format!("{}, or {other}", self.hint);
        }
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.within {
            write!(f, "{part}: ")?;
        }
        if !f.alternate() {
            return write!(f, "{}: {}", self.message, self.hint);
        }
        f.write_str(&self.message)?;
        if let Some(place) = &self.place {
            place.fmt(f)?;
        }
        write!(f, "\n  tip: {}", self.hint)
    }
}

impl Error for Mistake {}

impl From<AddressError> for Mistake {
    fn from(error: AddressError) -> Self {
        Self::new(error.message(), error.hint()).at(error.input(), error.span())
    }
}

// ===== impl Place =====

impl Place {
    fn hide(self, hidden: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut shown = Self {
            text: String::new(),
            span: self.span.clone(),
        };
        let mut behind = 0;
        for secret in hidden {
            shown.text += &self.text[behind..secret.start];
            let at = shown.text.len();
            shown.text += HIDDEN;
            behind = secret.end;
            let moved = |end: usize, within: usize| match end {
                end if end <= secret.start => None,
                end if end < secret.end => Some(within),
                end => Some(end - secret.end + at + HIDDEN.len()),
            };
            shown.span = moved(self.span.start, at).unwrap_or(shown.span.start)
                ..moved(self.span.end, at + HIDDEN.len()).unwrap_or(shown.span.end);
        }
        shown.text += &self.text[behind..];
        shown
    }
}

const HIDDEN: &str = "…";

/// The text, and carets below the span.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = shown(&self.text[..self.span.start]);
        let wrong = shown(&self.text[self.span.clone()]);
        let after = shown(&self.text[self.span.end..]);
        let (indent, width) = (before.chars().count(), wrong.chars().count().max(1));
        write!(f, "\n  {before}{wrong}{after}")?;
        write!(f, "\n  {:indent$}{:^<width$}", "", "")
    }
}

/// The known word that this one is a misspelling of.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.trim().replace('_', "-").to_ascii_lowercase();
    let distances = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, &word), known));
    let near = |(distance, known): &(usize, &str)| match known.len().min(word.len()) {
        0..=2 => *distance == 0,
        3..=4 => *distance <= 1,
        _ => *distance <= 2,
    };
    distances.min().filter(near).map(|(_, known)| known)
}

/// `` `a`, `b` or `c` ``
pub(crate) fn alternatives(words: &[&str]) -> String {
    list(words, "or")
}

/// The same, with this word before the last.
pub(crate) fn list(words: &[&str], join: &str) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {join} `{last}`", first.join(", "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_has_a_nearest_word() {
        let known = ["listen", "dial", "tls", "a", "b"];
        for (word, near) in [
            ("lisen", Some("listen")),
            ("Listen ", Some("listen")),
            ("dail", Some("dial")),
            ("tsl", Some("tls")),
            ("c", None),
            ("b", Some("b")),
            ("deal", Some("dial")),
            ("deaf", None),
            ("", None),
            ("proxy", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }

    #[test]
    fn a_hidden_span_is_not_shown_and_the_carets_stay_where_they_are() {
        let text = "listen:1,token=secret,rate=9";
        for (wrong, shown) in [
            ("rate", "listen:1,token=…,rate=9\n                   ^^^^"),
            ("token", "listen:1,token=…,rate=9\n           ^^^^^"),
            ("secret", "listen:1,token=…,rate=9\n                 ^"),
            ("cre", "listen:1,token=…,rate=9\n                 ^"),
        ] {
            let start = text.find(wrong).unwrap();
            let secret = text.find("secret").unwrap();
            let mistake = Mistake::new("m", "h").at(text, start..start + wrong.len());
            let hidden = mistake.hide(text, std::iter::once(secret..secret + 6));
            assert_eq!(format!("{hidden:#}"), format!("m\n  {shown}\n  tip: h"));
        }
    }
}
