//! `--log-traffic`: prints the bytes of both directions.

use bytesize::ByteSize;
use clap::ValueEnum;
use couplet_connector::layers::{Colour, TrafficLogLayer};

use super::{PairContext, PairLayerSpec};
use crate::{
    layer_spec::Source,
    log::{LogFormat, is_coloured},
    log_writer::LogWriter,
    mistake::Mistake,
    units::size,
};

#[derive(Debug, clap::Args)]
pub(super) struct TrafficLogArgs {
    /// Print the bytes of both directions
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    log_traffic: Option<TrafficFormat>,

    /// Print only the first SIZE bytes of each direction [default: all]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "log_traffic")]
    log_traffic_limit: Option<ByteSize>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum TrafficFormat {
    Text,
    Hex,
    Json,
}

// ===== impl TrafficLogArgs =====

impl TrafficLogArgs {
    pub(super) fn spec(&self, context: PairContext) -> Option<PairLayerSpec> {
        let format = self.log_traffic?;
        let layer = match format {
            TrafficFormat::Text => TrafficLogLayer::text(),
            TrafficFormat::Hex => TrafficLogLayer::hex(),
            TrafficFormat::Json => TrafficLogLayer::json(),
        };
        let layer = match self.log_traffic_limit {
            Some(ByteSize(limit)) => layer.limit(limit),
            None => layer,
        };
        let layer = match context.log_format {
            // In order with the log, whose reader may stall.
            LogFormat::Text => layer
                .to_writer(LogWriter::stderr())
                .colour(match is_coloured() {
                    true => Colour::Always,
                    false => Colour::Never,
                }),
            // So that every line on standard error is JSON.
            LogFormat::Json => layer.to_tracing(),
        };
        let shown = match format {
            TrafficFormat::Text => "text",
            TrafficFormat::Hex => "hex",
            TrafficFormat::Json => "json",
        };
        let spec = PairLayerSpec::wrapper("log-traffic", layer).set("format", shown, Source::Flag);
        Some(match self.log_traffic_limit {
            Some(limit) => spec.set("limit", limit, Source::Flag),
            None => spec,
        })
    }

    pub(super) fn joined_value(&self, word: &str) -> Option<Mistake> {
        TrafficFormat::from_str(word, true).is_ok().then(|| {
            Mistake::new(
                format!("a blank separates `{word}` from its flag"),
                format!("`--log-traffic={word}`"),
            )
        })
    }
}
