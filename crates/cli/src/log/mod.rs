//! Log lines on standard error.

mod flood;
mod json;
mod text;

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use clap::ValueEnum;
use couplet_connector::endpoint::shorten_client_addresses;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::FilterExt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use self::{flood::Flood, json::JsonLines, text::TextLines};
use crate::log_writer::LogWriter;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Log more; twice, everything
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long)]
    quiet: bool,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Show client addresses whole, or shortened to networks of 24 or 48 bits: in logs, lists and metrics' endpoint
    /// [default: none]
    #[arg(long, value_name = "none|addresses")]
    pub(crate) privacy: Option<Privacy>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How client addresses are shown.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Privacy {
    /// Whole.
    None,
    /// As networks: 24 bits of IPv4, 48 bits of IPv6.
    Addresses,
}

/// The level, to be changed.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Logs what has this level, from now on.
#[cfg(feature = "admin")]
pub(crate) fn set_level(level: LevelFilter) {
    if let Some(handle) = LEVEL.get() {
        // It fails where nothing logs any more.
        let _ = handle.reload(level);
    }
}

// ===== impl LogArgs =====

impl LogArgs {
    /// From now on, what is logged goes there. With no word about it, it is what has this level.
    pub(crate) fn init(&self, level: LevelFilter) -> io::Result<()> {
        if self.privacy == Some(Privacy::Addresses) {
            shorten_client_addresses();
        }
        LogWriter::stderr().open(io::stderr())?;
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => level,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(LogWriter::stderr)
            .with_ansi(is_coloured());
        let lines = match self.log_format {
            LogFormat::Text => lines
                .event_format(TextLines::new(level > LevelFilter::INFO))
                .boxed(),
            LogFormat::Json => lines
                .event_format(JsonLines {
                    with_module: level > LevelFilter::INFO,
                })
                .boxed(),
        };
        let (level, handle) = reload::Layer::new(level);
        tracing_subscriber::registry()
            .with(lines.with_filter(level.and(Flood::stderr())))
            .init();
        let _ = LEVEL.set(handle);
        Ok(())
    }

    /// Says why it has ended, in a line like all the others on standard error.
    pub(crate) fn failed(&self, error: &anyhow::Error) {
        match self.log_format {
            LogFormat::Text => {
                let line = format!("couplet: {error:#}\n");
                let _ = LogWriter::stderr().write_all(line.as_bytes());
            }
            LogFormat::Json => tracing::error!("{error:#}"),
        }
    }
}

/// Logs warnings, as text, where no flags say how.
pub(crate) fn init_for_warnings() -> io::Result<()> {
    let log = LogArgs {
        verbose: 0,
        quiet: true,
        log_format: LogFormat::Text,
        privacy: None,
    };
    log.init(LevelFilter::WARN)
}

/// Writes what is left to write. For the end of the program.
pub(crate) fn finish() {
    Flood::stderr().tell();
    LogWriter::stderr().finish();
}

/// Is standard error a terminal that shows colours?
pub(crate) fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
