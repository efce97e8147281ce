//! What the admin endpoint can ask of the process.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use couplet_admin::{Checked, ConfigForm, End, LogLevel, Program};
use tracing::level_filters::LevelFilter;

use super::reload;
use crate::{
    config::{RelayWords, Source, command_line},
    log,
    log_writer::Log,
    signals,
};

/// The words of the relays that run, by name, without their secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<RwLock<Vec<(String, RelayWords)>>>);

/// The process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Of a file.
    running: Option<Running>,
    drains: AtomicBool,
}

// ===== impl Running =====

impl Running {
    pub(crate) fn set<'a>(&self, words: impl Iterator<Item = (&'a str, &'a RelayWords)>) {
        let words = words.map(|(name, words)| (name.to_owned(), words.redacted()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = words.collect();
    }
}

// ===== impl Process =====

impl Process {
    pub(crate) const fn new(running: Option<Running>) -> Self {
        let drains = AtomicBool::new(false);
        Self { running, drains }
    }
}

impl Program for Process {
    fn check(&self, configuration: String) -> Option<Checked> {
        self.running.as_ref()?;
        let mistakes = Source::check(configuration).err().unwrap_or_default();
        Some(Checked {
            text: match mistakes.is_empty() {
                true => String::new(),
                false => reload::text(&mistakes),
            },
            mistakes: mistakes.iter().map(reload::json_of).collect(),
        })
    }

    fn config(&self, form: ConfigForm) -> Option<String> {
        let running = self.running.as_ref()?.0.read();
        let running = running.unwrap_or_else(PoisonError::into_inner);
        let relays = running.iter().map(|(name, words)| match form {
            ConfigForm::Commands => command_line(name, words) + "\n",
            _ => words.table(name),
        });
        let between = match form {
            ConfigForm::Commands => "",
            _ => "\n",
        };
        Some(relays.collect::<Vec<_>>().join(between))
    }

    fn log(&self, level: LogLevel) -> Option<()> {
        log::set_level(match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
            _ => LevelFilter::INFO,
        });
        Some(())
    }

    fn log_dropped(&self) -> Vec<(&'static str, u64)> {
        Log::lost()
    }

    fn end(&self, how: End) -> Option<Result<(), String>> {
        let drains = self.drains.swap(true, Ordering::SeqCst);
        let times = match (how, drains) {
            (End::Drain, true) => return Some(Err("the process drains already".to_owned())),
            // The first asks for the drain, the second for its end.
            (End::Stop, false) => 2,
            _ => 1,
        };
        signals::ask(times);
        Some(Ok(()))
    }
}
