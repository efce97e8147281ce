//! Log lines on standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

use crate::log_writer::LogWriter;

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
    pub(crate) fn init(&self) -> io::Result<()> {
        LogWriter::stderr().open(io::stderr())?;
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => LevelFilter::INFO,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let lines = tracing_subscriber::fmt()
            .with_writer(LogWriter::stderr)
            .with_max_level(level)
            .with_target(level > LevelFilter::INFO)
            .with_ansi(is_coloured());
        match self.log_format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => lines.json().flatten_event(true).init(),
        }
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

/// Is standard error a terminal that shows colours?
pub(crate) fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
