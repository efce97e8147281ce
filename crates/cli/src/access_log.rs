//! `--access-log`: a line for each pair that has ended, and for each connection that was not joined.

use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use couplet_connector::{
    PairLayers, SideLayers,
    endpoint::{RelayName, Side},
    layers::{
        AccessLog, AccessLogLayer, SideAccessLogLayer,
        observe::{
            access_log::{End, Format, Leg, Record},
            json_line,
        },
    },
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    layer_spec::{LayerSpec, Sourced},
    log_file::LogFile,
    log_writer::{Log, LogWriter},
    pair::PairLayerSpec,
    side::SideLayerSpec,
    sums::{Key, Network, Sum, Sums},
    units::{Limit, limit},
};

#[derive(Debug, clap::Args)]
pub(crate) struct AccessLogArgs {
    /// Write a line for each pair that has ended and each connection that was not joined; `-` is
    /// standard output. SIGHUP opens the file anew
    #[arg(long, value_name = "PATH|-")]
    access_log: Option<PathBuf>,

    /// The format of the access log [default: text]
    #[arg(long, value_name = "FORMAT", requires = "access_log")]
    access_log_format: Option<LineFormat>,

    /// Also write a line for each live pair, every TIME, or never [default: never]
    #[arg(long, value_name = "TIME", value_parser = limit, requires = "access_log")]
    access_log_every: Option<Limit<Duration>>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LineFormat {
    Text,
    Json,
}

/// The layers that write it, one a stack, each for the top.
#[derive(Debug)]
pub(crate) struct AccessLogSpecs {
    pub(crate) file: AccessLogFile,
    log: AccessLog,
    format: Sourced<LineFormat>,
    every: Sourced<Limit<Duration>>,
}

/// The file, and the sums of what is not told line by line.
#[derive(Clone, Debug)]
pub(crate) struct AccessLogFile {
    pub(crate) file: LogFile,
    sums: Sums<Kind>,
}

/// How connections ended, in two letters, and the relay that they came to.
type Kind = (&'static str, RelayName);

/// A line of the log: how many connections more there were whose records are left out.
struct SumLine {
    time: SystemTime,
    sum: Sum<Kind>,
}

// ===== impl AccessLogArgs =====

impl AccessLogArgs {
    /// Do lines go to standard output?
    pub(crate) fn is_to_stdout(&self) -> bool {
        self.access_log.as_deref() == Some("-".as_ref())
    }

    pub(crate) fn specs(&self) -> Option<AccessLogSpecs> {
        let file = LogFile::new(Log::Access, self.access_log.clone()?);
        let format = Sourced::flag(self.access_log_format, LineFormat::Text);
        let log = AccessLog::to_writer(
            match format.value {
                LineFormat::Text => Format::Text,
                LineFormat::Json => Format::Json,
            },
            file.lines(),
        );
        let (lines, format_is) = (file.lines(), format.value);
        let sums = Sums::new(move |sum| format_is.write(&mut lines.clone(), sum));
        let counting = sums.clone();
        Some(AccessLogSpecs {
            file: AccessLogFile { file, sums },
            log: log.only(move |record| is_shown(&counting, record)),
            format,
            every: Sourced::flag(self.access_log_every, Limit::Off),
        })
    }
}

/// Pairs are all shown; of connections that were not joined not too many of a kind and a network.
fn is_shown(sums: &Sums<Kind>, record: &Record) -> bool {
    let End::Unjoined(side, _) = record.end else {
        return true;
    };
    let peer = record.leg(side).and_then(Leg::peer_text);
    let Some(network) = peer.and_then(|peer| Network::of(&peer)) else {
        return true;
    };
    let reason = || record.end.to_string();
    let kind = (record.end.termination_state(), record.relay.clone());
    sums.count(kind, None, network, reason)
}

// ===== impl AccessLogFile =====

impl AccessLogFile {
    /// Writes what is left to write, and returns how many lines are missing. For the end of the program.
    pub(crate) fn finish(&self) -> usize {
        self.sums.tell();
        self.file.lines().finish()
    }
}

// ===== impl LineFormat =====

impl LineFormat {
    fn write(self, lines: &mut LogWriter, sum: Sum<Kind>) {
        let line = SumLine {
            time: SystemTime::now(),
            sum,
        };
        let line = match self {
            Self::Text => line.text(),
            Self::Json => json_line(&line),
        };
        // The log tells itself how many lines are missing.
        let _ = lines.write_all(format!("{line}\n").as_bytes());
    }
}

// ===== impl SumLine =====

impl SumLine {
    fn time(&self) -> String {
        humantime::format_rfc3339_micros(self.time).to_string()
    }

    fn text(&self) -> String {
        let time = self.time();
        match &self.sum {
            Sum::Of {
                key: Key { kind, network, .. },
                message,
                count,
            } => {
                let network = network.map(|network| format!(" network={network}"));
                let network = network.unwrap_or_default();
                let (state, relay) = kind;
                let relay = relay.as_str().map(|relay| format!(" relay={relay}"));
                let relay = relay.unwrap_or_default();
                format!("{time} {state}{relay} more={count}{network} reason=\"{message}\"")
            }
            Sum::Rest { networks, count } => {
                format!("{time} -- more={count} networks={networks} reason=\"of other networks\"")
            }
        }
    }
}

impl Serialize for SumLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time())?;
        map.serialize_entry("event", "more")?;
        match &self.sum {
            Sum::Of {
                key: Key { kind, network, .. },
                message,
                count,
            } => {
                let (state, relay) = kind;
                map.serialize_entry("state", state)?;
                map.serialize_entry("reason", message)?;
                if let Some(relay) = relay.as_str() {
                    map.serialize_entry("relay", relay)?;
                }
                map.serialize_entry("more", count)?;
                if let Some(network) = network {
                    map.serialize_entry("network", &network.to_string())?;
                }
            }
            Sum::Rest { networks, count } => {
                map.serialize_entry("state", "--")?;
                map.serialize_entry("reason", "of other networks")?;
                map.serialize_entry("more", count)?;
                map.serialize_entry("networks", networks)?;
            }
        }
        map.end()
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
        layers.push(AccessLogLayer::new(self.log.clone()).every(self.every.value.get()));
        let format = match self.format.value {
            LineFormat::Text => "text",
            LineFormat::Json => "json",
        };
        LayerSpec::new("access-log", layers)
            .set("path", &self.file.file, crate::layer_spec::Source::Flag)
            .set("format", format, self.format.from)
            .set("every", self.every.value, self.every.from)
    }
}
