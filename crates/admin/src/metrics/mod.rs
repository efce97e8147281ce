//! Metrics for Prometheus.
//!
//! A label is a name or a target of the configuration, or one of a closed set, never a client's address, an
//! identity, a key or a server name. A relay's series are there, at 0, from when it is added, so that `rate()` sees the first
//! event. The families are in [`FAMILIES`]; docs/metrics.md explains each.

mod carriers;
mod config;
mod families;
mod format;
mod process;

pub use self::{
    carriers::CARRIER_FAMILIES,
    families::{FAMILIES, Family, Kind, MEETING_FAMILIES},
    format::Format,
};

#[cfg(target_os = "linux")]
pub(crate) use self::process::open_fds;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use crate::{Admin, Relay, metrics::families::Value, reload::Told};

/// The metrics of all relays, or of the one of this name, as text.
///
/// ```
/// use couplet_admin::{Admin, metrics::{Format, text}};
///
/// let text = text(&Admin::new(), Format::Text, None);
/// assert!(text.contains("# TYPE couplet_build_info gauge"));
/// ```
pub fn text(admin: &Admin, format: Format, relay: Option<&str>) -> String {
    let relays = admin.relays();
    let relays = relays
        .into_iter()
        .filter(|known| relay.is_none_or(|relay| relay == known.name()));
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        version: admin.shown_version(),
        relays: relays.collect(),
        whole: relay.is_none(),
        reloads: admin.0.reloads.known(),
    }));
    let mut text = String::with_capacity(64 * 1024);
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    format.of_openmetrics(text)
}

/// How it stands at one moment.
#[derive(Debug)]
struct Scrape {
    version: String,
    relays: Vec<Arc<Relay>>,
    /// With the families of the process.
    whole: bool,
    reloads: Option<Told>,
}

// ===== impl Scrape =====

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if self.whole {
            let labels = [("version", self.version.as_str())];
            encoder
                .encode_descriptor("couplet_build", BUILD, None, MetricType::Info)?
                .encode_info(&labels)?;
            process::encode(&mut encoder)?;
            if let Some(told) = &self.reloads {
                config::encode(&mut encoder, told)?;
            }
        }
        // Families that no relay has are not announced.
        let meeting = match self.relays.iter().any(|relay| relay.meeting.is_some()) {
            true => MEETING_FAMILIES,
            false => &[],
        };
        let carriers = match self.relays.iter().any(|relay| relay.has_carriers()) {
            true => CARRIER_FAMILIES,
            false => &[],
        };
        for family in FAMILIES.iter().chain(carriers).chain(meeting) {
            let mut metric = encoder.encode_descriptor(
                family.short_name(),
                family.help,
                None,
                family.kind.into(),
            )?;
            for relay in &self.relays {
                (family.read)(relay, &mut |labels, value| {
                    let labels = [&[("relay", relay.name())], labels].concat();
                    write(metric.encode_family(&labels.as_slice())?, value)
                })?;
            }
        }
        Ok(())
    }
}

const BUILD: &str = "The version of the program";

fn write(mut metric: MetricEncoder<'_>, value: Value) -> fmt::Result {
    match value {
        Value::Count(count) => metric.encode_counter::<NoLabelSet, _, u64>(&count, None),
        Value::Seconds(seconds) => metric.encode_counter::<NoLabelSet, _, u64>(&seconds, None),
        Value::Gauge(gauge) => metric.encode_gauge(&gauge),
        Value::Histogram(histogram) => {
            let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(histogram.counts.iter().copied()).collect();
            let sum = histogram.sum.as_secs_f64();
            metric.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
        }
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
        }
    }
}
