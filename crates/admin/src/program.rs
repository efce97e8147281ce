//! What the program around the relays does when it is asked over the admin endpoint.

use std::{fmt, sync::OnceLock};

use serde_json::Value;

/// What a program can do beside its relays. What it does not do has no route: 404.
pub trait Program: Send + Sync + 'static {
    /// `POST /v1/check`: what is wrong with this configuration, without taking it: each mistake as JSON with
    /// `message`, `hint`, and where it is. May block.
    fn check(&self, configuration: String) -> Option<Checked> {
        let _ = configuration;
        None
    }

    /// `GET /v1/config`: the configuration that runs, without its secrets.
    fn config(&self, form: ConfigForm) -> Option<String> {
        let _ = form;
        None
    }

    /// `POST /v1/log?level=`: logs what has this level, from now on.
    fn log(&self, level: LogLevel) -> Option<()> {
        let _ = level;
        None
    }

    /// `POST /v1/drain` and `POST /v1/stop`: ends the program. `Err` says why it does not.
    fn end(&self, how: End) -> Option<Result<(), String>> {
        let _ = how;
        None
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug)]
pub struct Checked {
    /// All that is wrong, for people; empty if nothing is.
    pub text: String,
    /// Each mistake.
    pub mistakes: Vec<Value>,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigForm {
    /// As a file.
    File,
    /// As command lines.
    Commands,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Errors.
    Error,
    /// Warnings, too.
    Warn,
    /// What happens, too.
    Info,
    /// More of it.
    Debug,
    /// Everything.
    Trace,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It takes no more connections, and its pairs may end within its own time.
    Drain,
    /// At once.
    Stop,
}

/// The program, where one has been told of.
#[derive(Default)]
pub(crate) struct Known(OnceLock<Box<dyn Program>>);

// ===== impl LogLevel =====

impl LogLevel {
    /// All, the fewest lines first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// Its name in a query: `info`.
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
