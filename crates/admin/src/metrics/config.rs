//! The families of a program that can read its configuration again.

use std::{fmt, time::UNIX_EPOCH};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::reload::Told;

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, told: &Told) -> fmt::Result {
    encoder
        .encode_descriptor(
            "couplet_config_generation",
            "How often the configuration has been taken, the first time included",
            None,
            MetricType::Gauge,
        )?
        .encode_gauge(&told.generation)?;
    let mut reloads = encoder.encode_descriptor(
        "couplet_config_reloads",
        "Reloads by result; one that failed has changed nothing",
        None,
        MetricType::Counter,
    )?;
    for (result, count) in [("ok", told.succeeded), ("failed", told.failed)] {
        reloads
            .encode_family(&[("result", result)])?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    encoder
        .encode_descriptor(
            "couplet_config_last_reload_successful",
            "Whether the last reload was taken",
            None,
            MetricType::Gauge,
        )?
        .encode_gauge(&u64::from(told.failure.is_none()))?;
    let since = told.last.duration_since(UNIX_EPOCH).unwrap_or_default();
    encoder
        .encode_descriptor(
            "couplet_config_last_reload_timestamp_seconds",
            "When the last reload was, or the start",
            None,
            MetricType::Gauge,
        )?
        .encode_gauge(&since.as_secs_f64())
}
