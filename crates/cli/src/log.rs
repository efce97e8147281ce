//! Log lines on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

#[derive(Debug, clap::Args)]
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
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

// ===== impl LogArgs =====

impl LogArgs {
    /// From now on, what is logged goes there.
    pub(crate) fn init(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => LevelFilter::INFO,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_max_level(level)
            .with_target(level > LevelFilter::INFO)
            .with_ansi(colour);
        match self.log_format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => lines.json().flatten_event(true).init(),
        }
    }
}
