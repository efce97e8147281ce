//! `--access-log`: a line for each pair that has ended, and for each connection that was not joined.

use std::path::PathBuf;

use clap::ValueEnum;
use couplet_connector::{
    PairLayers, SideLayers,
    endpoint::Side,
    layers::{AccessLog, AccessLogLayer, SideAccessLogLayer, observe::access_log::Format},
};

use crate::{
    layer_spec::{LayerSpec, Sourced},
    log_file::LogFile,
    pair::PairLayerSpec,
    side::SideLayerSpec,
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
pub(crate) struct AccessLogSpecs {
    pub(crate) file: LogFile,
    log: AccessLog,
    format: Sourced<LineFormat>,
}

// ===== impl AccessLogArgs =====

impl AccessLogArgs {
    /// Do lines go to standard output?
    pub(crate) fn is_to_stdout(&self) -> bool {
        self.access_log.as_deref() == Some("-".as_ref())
    }

    pub(crate) fn specs(&self) -> Option<AccessLogSpecs> {
        let file = LogFile::new("access log", self.access_log.clone()?);
        let format = Sourced::flag(self.access_log_format, LineFormat::Text);
        let log = match format.value {
            LineFormat::Text => AccessLog::to_writer(Format::Text, file.lines()),
            LineFormat::Json => AccessLog::to_writer(Format::Json, file.lines()),
        };
        Some(AccessLogSpecs { file, log, format })
    }
}

// ===== impl AccessLogSpecs =====

impl AccessLogSpecs {
    pub(crate) fn side(&self, side: Side) -> SideLayerSpec {
        let mut layers = SideLayers::new();
        layers.push(SideAccessLogLayer::new(self.log.clone(), side));
        LayerSpec::new("access-log", layers)
    }

    pub(crate) fn pair(&self) -> PairLayerSpec {
        let mut layers = PairLayers::new();
        layers.push(AccessLogLayer::new(self.log.clone()));
        let format = match self.format.value {
            LineFormat::Text => "text",
            LineFormat::Json => "json",
        };
        LayerSpec::new("access-log", layers)
            .set("path", &self.file, crate::layer_spec::Source::Flag)
            .set("format", format, self.format.from)
    }
}
