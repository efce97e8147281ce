use std::{convert::Infallible, ops::Range, str::FromStr};

use couplet_connector::endpoint::ExecAddr;

use crate::mistake::Mistake;

/// What was given for a side: its address, then its options.
///
/// A word of the command line is cut at its commas. In an array of a file a part may have a comma in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SideWords {
    text: String,
    /// Where in the text each part is.
    parts: Vec<Range<usize>>,
}

/// A part of what was given for a side, and where in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'a> {
    pub(super) input: &'a str,
    pub(super) at: usize,
    pub(crate) text: &'a str,
}

/// An option of a side as it was given: `name=value`, then its own settings, `name.setting=value`.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    pub(super) name: Word<'a>,
    pub(super) value: Option<Word<'a>>,
    pub(super) settings: Vec<(Word<'a>, Option<Word<'a>>)>,
}

// ===== impl SideWords =====

impl SideWords {
    /// These parts, shown with commas between them.
    pub(crate) fn of_parts<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> Self {
        let mut words = Self::default();
        for part in parts {
            if !words.parts.is_empty() {
                words.text.push(',');
            }
            let start = words.text.len();
            words.text += part.as_ref();
            words.parts.push(start..words.text.len());
        }
        words
    }

    /// The same without what may be secret: `…` in its place.
    #[cfg(feature = "admin")]
    pub(crate) fn redacted(&self) -> Self {
        let hidden: Vec<_> = super::secrets::within(self).collect();
        let parts = self.parts.iter().map(|part| {
            if let Some(program) = self.text[part.clone()].strip_prefix("exec:") {
                // Its arguments may be secret.
                let program = program.split(' ').next().unwrap_or_default();
                return format!("exec:{program}");
            }
            let mut shown = self.text[part.clone()].to_owned();
            let within = hidden.iter().filter(|secret| part.contains(&secret.start));
            for secret in within.rev() {
                shown.replace_range(secret.start - part.start..secret.end - part.start, "…");
            }
            shown
        });
        Self::of_parts(parts)
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where in [`text`](Self::text) each part is; there is at least one.
    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.parts
    }

    /// The parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &self.text[part.clone()])
    }

    /// The address as it was given.
    pub(crate) fn address(&self) -> &str {
        self.parts().next().unwrap_or_default()
    }

    /// The parts, with their places.
    pub(super) fn words(&self) -> impl Iterator<Item = Word<'_>> {
        self.parts.iter().map(|part| Word {
            input: &self.text,
            at: part.start,
            text: &self.text[part.clone()],
        })
    }
}

impl From<&str> for SideWords {
    fn from(word: &str) -> Self {
        if !word.starts_with("exec:") {
            return Self::of_parts(word.split(','));
        }
        // A comma in quotes is a program's.
        let (address, options) = word.split_at(ExecAddr::end_in(word));
        let options = options.strip_prefix(',').map(|options| options.split(','));
        Self::of_parts([address].into_iter().chain(options.into_iter().flatten()))
    }
}

impl FromStr for SideWords {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(word.into())
    }
}

// ===== impl Word =====

impl<'a> Word<'a> {
    /// This word is wrong: what is, and what would be right. Both texts may quote it.
    pub(crate) fn wrong(&self, message: impl AsRef<str>, hint: impl AsRef<str>) -> Mistake {
        Mistake::new(message, hint).at(self.input, self.span())
    }

    /// This word is the name of an option or setting, and has no value of this form. The help says what
    /// the value is for.
    pub(super) fn empty(&self, form: &str, help: &str) -> Mistake {
        let name = self.text;
        self.wrong(
            format!("`{name}` needs a value"),
            format!("`{name}={form}`: {help}"),
        )
    }

    /// This word is none of those that are known here.
    pub(crate) fn unknown(&self, message: impl AsRef<str>, known: &[&str]) -> Mistake {
        Mistake::unknown(message, self.text, known).at(self.input, self.span())
    }

    /// What a parser makes of it. A mistake without a place is at this word.
    pub(crate) fn parse<T>(
        &self,
        parse: impl FnOnce(&'a str) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        parse(self.text).map_err(|mistake| self.place(mistake))
    }

    /// The mistake is at this word, unless it has a place.
    pub(crate) fn place(&self, mistake: Mistake) -> Mistake {
        mistake.at(self.input, self.span())
    }

    fn span(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// From `at` on, up to the first separator within, or whole.
    pub(super) fn cut(&self, separator: char) -> (Self, Option<Self>) {
        match self.text.split_once(separator) {
            None => (*self, None),
            Some((before, after)) => (
                Self {
                    text: before,
                    ..*self
                },
                Some(Self {
                    at: self.at + before.len() + separator.len_utf8(),
                    text: after,
                    ..*self
                }),
            ),
        }
    }
}

// ===== impl Given =====

impl<'a> Given<'a> {
    /// The option as such is wrong here.
    pub(crate) fn wrong(&self, message: impl AsRef<str>, hint: impl AsRef<str>) -> Mistake {
        self.name.wrong(message, hint)
    }

    /// The value, where the option may have none.
    pub(crate) fn value(&self) -> Option<Word<'a>> {
        self.value
    }

    /// The value of an option that has to have one.
    pub(crate) fn needed(&self) -> Result<Word<'a>, Mistake> {
        let hint = || format!("`{}=…`", self.name.text);
        self.value
            .ok_or_else(|| self.wrong(format!("`{}` needs a value", self.name.text), hint()))
    }

    /// The values of a setting, in their order.
    pub(crate) fn all(&self, setting: &str) -> impl Iterator<Item = Word<'a>> {
        let given = self.settings.iter();
        let found = given
            .filter(move |(name, _)| name.text.split_once('.').map(|(_, s)| s) == Some(setting));
        // That each has a value was seen to when they were read.
        found
            .filter_map(|(_, value)| *value)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The value of a setting that stands once at most.
    pub(crate) fn setting(&self, setting: &str) -> Option<Word<'a>> {
        self.all(setting).next()
    }
}
