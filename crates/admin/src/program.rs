//! What the admin endpoint can ask of the program around the relays.

use std::{fmt, sync::OnceLock};

use serde_json::Value;

/// The routes of a program beside those of its relays. A method that returns `None` has no route: 404.
pub trait Program: Send + Sync + 'static {
    /// `POST /v1/check`: checks a configuration without applying it. Each mistake is JSON with `message`, `hint`
    /// and its place. May block.
    fn check(&self, configuration: String) -> Option<Checked> {
        let _ = configuration;
        None
    }

    /// `GET /v1/config`: the running configuration, without its secrets.
    fn config(&self, form: ConfigForm) -> Option<String> {
        let _ = form;
        None
    }

    /// `POST /v1/log?level=`: sets the level of the log.
    fn log(&self, level: LogLevel) -> Option<()> {
        let _ = level;
        None
    }

    /// The lines that each log has lost, by the log's name, one of a closed set, for a label of a metric.
    fn log_dropped(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// `POST /v1/drain` and `POST /v1/stop`: ends the program. `Err` is the reason for which it goes on.
    fn end(&self, how: End) -> Option<Result<(), String>> {
        let _ = how;
        None
    }
}

/// The result of a check of a configuration.
#[derive(Clone, Debug)]
pub struct Checked {
    /// All mistakes as text; empty if there is none.
    pub text: String,
    /// The mistakes, one by one.
    pub mistakes: Vec<Value>,
}

/// The form of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigForm {
    /// A file.
    File,
    /// Command lines.
    Commands,
}

/// The level of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Errors.
    Error,
    /// Also warnings.
    Warn,
    /// Also events.
    Info,
    /// Also details.
    Debug,
    /// Everything.
    Trace,
}

/// The way in which a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The program accepts no more connections, and its pairs may end within the drain time.
    Drain,
    /// The program ends at once.
    Stop,
}

/// The program, once it is set.
#[derive(Default)]
pub(crate) struct Known(OnceLock<Box<dyn Program>>);

// ===== impl LogLevel =====

impl LogLevel {
    /// All levels, the one with the fewest lines first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The level's name in a query, such as `info`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

// ===== impl Known =====

impl Known {
    /// The first call counts.
    pub(crate) fn set(&self, program: Box<dyn Program>) {
        let _ = self.0.set(program);
    }

    pub(crate) fn get(&self) -> Option<&dyn Program> {
        self.0.get().map(|program| &**program)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known")
            .field(&self.0.get().is_some())
            .finish()
    }
}
