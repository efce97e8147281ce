//! `--access-log`: a line for each pair that has ended, and for each connection that was not joined.

use std::path::PathBuf;

use clap::ValueEnum;
use couplet_connector::{
    PairLayers, SideLayers,
    endpoint::Side,
    layers::{AccessLog, AccessLogLayer, SideAccessLogLayer, observe::access_log::Format},
};

use crate::{
    log_file::LogFile,
    pair::PairStep,
    side::SideStep,
    step::{Known, Step},
};

#[derive(Debug, clap::Args)]
pub(crate) struct AccessLogArgs {
    /// Write a line for each pair that has ended and each connection that was not joined; `-` is
    /// standard output. SIGHUP opens the file anew
    #[arg(long, value_name = "PATH|-")]
    access_log: Option<PathBuf>,

    /// How these lines are written [default: text]
    #[arg(long, value_name = "FORMAT", requires = "access_log")]
    access_log_format: Option<LineFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LineFormat {
    Text,
    Json,
}

/// The layers that write it, one a stack, each for the top.
#[derive(Debug)]
pub(crate) struct AccessLogSteps {
    pub(crate) file: LogFile,
    log: AccessLog,
    format: Known<LineFormat>,
}

// ===== impl AccessLogArgs =====

impl AccessLogArgs {
    /// Do lines go to standard output?
    pub(crate) fn is_to_stdout(&self) -> bool {
        self.access_log.as_deref() == Some("-".as_ref())
    }

    pub(crate) fn steps(&self) -> Option<AccessLogSteps> {
        let file = LogFile::new("access log", self.access_log.clone()?);
        let format = Known::flag(self.access_log_format, LineFormat::Text);
        let log = match format.value {
            LineFormat::Text => AccessLog::to_writer(Format::Text, file.lines()),
            LineFormat::Json => AccessLog::to_writer(Format::Json, file.lines()),
        };
        Some(AccessLogSteps { file, log, format })
    }
}

// ===== impl AccessLogSteps =====

impl AccessLogSteps {
    pub(crate) fn side(&self, side: Side) -> SideStep {
        let mut layers = SideLayers::new();
        layers.push(SideAccessLogLayer::new(self.log.clone(), side));
        Step::new("access-log", layers)
    }

    pub(crate) fn pair(&self) -> PairStep {
        let mut layers = PairLayers::new();
        layers.push(AccessLogLayer::new(self.log.clone()));
        let format = match self.format.value {
            LineFormat::Text => "text",
            LineFormat::Json => "json",
        };
        Step::new("access-log", layers)
            .set("path", &self.file, crate::step::Source::Flag)
            .set("format", format, self.format.from)
    }
}
