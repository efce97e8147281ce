use std::ops::Range;

use couplet_connector::endpoint::ExecAddr;

use crate::mistake::Mistake;

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

// ===== impl Word =====

impl<'a> Word<'a> {
    /// This word is wrong: what is, and what would be right. Both texts may quote it.
    pub(crate) fn wrong(&self, message: impl AsRef<str>, hint: impl AsRef<str>) -> Mistake {
        Mistake::new(message, hint).at(self.input, self.span())
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

    /// The address at its beginning, and what stands behind the comma.
    pub(super) fn cut_address(&self) -> (Self, Option<Self>) {
        if !self.text.starts_with("exec:") {
            return self.cut(',');
        }
        // A comma in quotes is a program's.
        let (before, after) = self.text.split_at(ExecAddr::end_in(self.text));
        let address = Self {
            text: before,
            ..*self
        };
        let rest = after.strip_prefix(',').map(|text| Self {
            at: self.at + before.len() + 1,
            text,
            ..*self
        });
        (address, rest)
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
