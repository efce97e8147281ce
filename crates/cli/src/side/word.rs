use std::ops::Range;

use couplet_connector::endpoint::AddressError;

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
    pub(crate) fn wrong(&self, message: impl AsRef<str>, hint: impl AsRef<str>) -> AddressError {
        AddressError::of(self.input, self.span(), message.as_ref(), hint.as_ref())
    }

    /// What a parser makes of it; what it says of a wrong one is a message and, behind `: `, a hint.
    pub(crate) fn parse<T>(
        &self,
        parse: impl FnOnce(&'a str) -> Result<T, String>,
    ) -> Result<T, AddressError> {
        parse(self.text).map_err(|wrong| {
            let (message, hint) = wrong.split_once(": ").unwrap_or((&wrong, "see --help"));
            self.wrong(message, hint)
        })
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
    pub(crate) fn wrong(&self, message: impl AsRef<str>, hint: impl AsRef<str>) -> AddressError {
        self.name.wrong(message, hint)
    }

    /// The value, where the option may have none.
    pub(crate) fn value(&self) -> Option<Word<'a>> {
        self.value
    }

    /// The value of an option that has to have one.
    pub(crate) fn needed(&self) -> Result<Word<'a>, AddressError> {
        let hint = || format!("`{}=…`", self.name.text);
        self.value
            .ok_or_else(|| self.wrong("it needs a value", hint()))
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
