use std::fmt;

use couplet_connector::{Side, layers::observe::stats::Histogram};
use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::Relay;

/// A family of metrics: of each relay, or of the process.
pub(super) struct Family<Of = Relay> {
    /// With `_total` where it is a counter.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Tells each series, with its labels beside `relay`.
    pub(super) read: fn(&Of, &mut Tell<'_>) -> fmt::Result,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The value of a series.
pub(super) enum Value {
    Count(u64),
    Seconds(f64),
    Gauge(u64),
    Measure(f64),
    Histogram(Histogram),
}

type Labels<'a> = &'a [(&'a str, &'a str)];
pub(super) type Tell<'a> = dyn FnMut(Labels<'_>, Value) -> fmt::Result + 'a;

pub(super) const SIDES: [(Side, &str); 2] = [(Side::A, "a"), (Side::B, "b")];

// ===== impl Family =====

impl<Of> Family<Of> {
    /// Writes the series of each of these, which has this label. A family without series is not announced.
    pub(super) fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        of: &[(Option<(&str, &str)>, &Of)],
    ) -> fmt::Result {
        let has_none = |one: &Of| (self.read)(one, &mut |_, _| Err(fmt::Error)).is_ok();
        if of.iter().all(|(_, one)| has_none(one)) {
            return Ok(());
        }
        // As OpenMetrics has it: without the suffix of a counter.
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let mut metric = encoder.encode_descriptor(name, self.help, None, self.kind.into())?;
        for (label, one) in of {
            (self.read)(one, &mut |labels, value| {
                let labels = [label.as_slice(), labels].concat();
                match labels.is_empty() {
                    true => write(&mut metric, value),
                    false => write(&mut metric.encode_family(&labels.as_slice())?, value),
                }
            })?;
        }
        Ok(())
    }
}

fn write(metric: &mut MetricEncoder<'_>, value: Value) -> fmt::Result {
    match value {
        Value::Count(count) => metric.encode_counter::<NoLabelSet, _, u64>(&count, None),
        Value::Seconds(seconds) => metric.encode_counter::<NoLabelSet, _, u64>(&seconds, None),
        Value::Gauge(gauge) => metric.encode_gauge(&gauge),
        Value::Measure(gauge) => metric.encode_gauge(&gauge),
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
