//! What stands in a stack of the command, and what `couplet explain` says of it.

use std::fmt;

use couplet_connector::layers::FaultSwitch;

use crate::reload::OnReload;

/// One layer of a stack: `layers` is the list it is alone in.
#[derive(Clone, Debug)]
pub(crate) struct LayerSpec<L> {
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<Setting>,
    /// On a side: what is read from the peer, what is written to it. On the pair: A to B, B to A.
    pub(crate) bytes: [Bytes; 2],
    pub(crate) layers: L,
    /// What it does at SIGHUP.
    pub(crate) on_reload: Option<OnReload>,
    /// It is a fault, which can be switched.
    pub(crate) switch: Option<FaultSwitch>,
}

/// A setting as it is in effect.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) from: Source,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Default,
    Flag,
    Side,
}

/// A value, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: Source,
}

/// What a layer does to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bytes {
    /// Nothing: they may be spliced.
    Untouched,
    /// It has read some ahead; once they are delivered, the others may be spliced.
    ReadAhead,
    /// They go through it, so they are copied: why.
    Copied(&'static str),
}

// ===== impl LayerSpec =====

impl<L> LayerSpec<L> {
    pub(crate) const fn new(name: &'static str, layers: L) -> Self {
        Self {
            name,
            settings: Vec::new(),
            bytes: [Bytes::Untouched; 2],
            layers,
            on_reload: None,
            switch: None,
        }
    }

    /// What it does to the bytes of either direction.
    pub(crate) const fn bytes(mut self, bytes: [Bytes; 2]) -> Self {
        self.bytes = bytes;
        self
    }

    /// What it does at SIGHUP.
    pub(crate) fn on_reload(mut self, does: impl Into<Option<OnReload>>) -> Self {
        self.on_reload = does.into();
        self
    }

    /// A setting to be explained.
    pub(crate) fn set(
        mut self,
        name: &'static str,
        value: impl fmt::Display,
        from: Source,
    ) -> Self {
        self.settings.push(Setting::new(name, value, from));
        self
    }
}

// ===== impl Setting =====

impl Setting {
    pub(crate) fn new(name: &'static str, value: impl fmt::Display, from: Source) -> Self {
        Self {
            name,
            value: value.to_string(),
            from,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.escape_debug();
        write!(f, "{} {value} ({})", self.name, self.from)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Flag => "flag",
            Self::Side => "side",
        })
    }
}

// ===== impl Sourced =====

impl<T> Sourced<T> {
    /// What a flag says, or else the default.
    pub(crate) fn flag(given: Option<T>, default: T) -> Self {
        match given {
            Some(value) => Self {
                value,
                from: Source::Flag,
            },
            None => Self {
                value: default,
                from: Source::Default,
            },
        }
    }

    /// What the side itself says wins.
    pub(crate) fn unless(self, side: Option<T>) -> Self {
        match side {
            Some(value) => Self {
                value,
                from: Source::Side,
            },
            None => self,
        }
    }
}
