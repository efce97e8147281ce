//! `max-conns=…`, `max-per-addr=…`, `rate=…`, `rate-per-addr=…`: how many connections a side takes,
//! and how fast.

use std::{num::NonZeroUsize, time::Duration};

use couplet_connector::{
    SideLayers,
    layers::{ConnLimitLayer, ConnRateLayer, Over, admission::limits::Queue},
};

use super::{Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{
    layer_spec::{LayerSpec, Setting, Source},
    mistake::Mistake,
    side::Given,
    units::{Limit, count, duration, rate},
};

const NUMBER: Value = Value::Needed("NUMBER");
const RATE: Value = Value::Needed("NUMBER/TIME");

/// How many may wait where it is not said.
const QUEUE: usize = 1024;

static OVER: &[SideSetting] = &[
    SideSetting {
        name: "wait",
        value: "TIME",
        help: "let a connection over the limit wait for TIME, instead of refusing it",
        many: false,
    },
    SideSetting {
        name: "queue",
        value: "NUMBER",
        help: "how many connections may wait, at most 32 of one address [default: 1024]",
        many: false,
    },
];

pub(super) static MAX_PER_ADDR: SideOption = SideOption {
    name: "max-per-addr",
    on: On::Listen,
    value: NUMBER,
    help: "at most NUMBER open connections of one address",
    settings: OVER,
    does: Does::Layer(|given, _| conns("max-per-addr", ConnLimitLayer::per_address, given)),
};

pub(super) static MAX_CONNS: SideOption = SideOption {
    name: "max-conns",
    on: On::Listen,
    value: NUMBER,
    help: "at most NUMBER open connections; stands behind max-per-addr",
    settings: OVER,
    does: Does::Layer(|given, _| conns("max-conns", ConnLimitLayer::overall, given)),
};

pub(super) static RATE_PER_ADDR: SideOption = SideOption {
    name: "rate-per-addr",
    on: On::Listen,
    value: RATE,
    help: "at most NUMBER new connections of one address in TIME, as 2/s or 20/1m",
    settings: OVER,
    does: Does::Layer(|given, _| rates("rate-per-addr", ConnRateLayer::per_address, given)),
};

pub(super) static RATE_ALL: SideOption = SideOption {
    name: "rate",
    on: On::Listen,
    value: RATE,
    help: "at most NUMBER new connections in TIME; stands behind rate-per-addr",
    settings: OVER,
    does: Does::Layer(|given, _| rates("rate", ConnRateLayer::overall, given)),
};

fn conns(
    name: &'static str,
    limit: fn(usize) -> ConnLimitLayer,
    given: &Given<'_>,
) -> Result<SideLayerSpec, Mistake> {
    let number = given.needed()?.parse(count)?;
    let (over, explained) = over(given, name)?;
    let mut layers = SideLayers::new();
    layers.push(limit(number.get()).over(over));
    let mut spec = LayerSpec::new(name, layers).set("limit", number, Source::Side);
    spec.settings.extend(explained);
    Ok(spec)
}

fn rates(
    name: &'static str,
    limit: fn(couplet_connector::layers::Rate) -> ConnRateLayer,
    given: &Given<'_>,
) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let rate = value.parse(rate)?;
    let (over, explained) = over(given, name)?;
    let mut layers = SideLayers::new();
    layers.push(limit(rate).over(over));
    let mut spec = LayerSpec::new(name, layers).set("limit", value.text, Source::Side);
    spec.settings.extend(explained);
    Ok(spec)
}

/// What becomes of those beyond the limit, and how that is explained.
fn over(given: &Given<'_>, name: &str) -> Result<(Over, Vec<Setting>), Mistake> {
    let wait: Option<Duration> = given
        .setting("wait")
        .map(|word| word.parse(duration))
        .transpose()?;
    let bound: Option<NonZeroUsize> = given
        .setting("queue")
        .map(|word| word.parse(count))
        .transpose()?;
    match (wait, bound) {
        (None, None) => {
            let refuse = Setting::new("over", "refuse", Source::Default);
            Ok((Over::Refuse, vec![refuse]))
        }
        (None, Some(_)) => Err(given.wrong(
            format!("`{name}.queue` does nothing without `{name}.wait`"),
            format!("`{name}.wait=TIME`: connections over the limit wait so long"),
        )),
        (Some(wait), bound) => {
            let from = bound.map_or(Source::Default, |_| Source::Side);
            let bound = bound.map_or(QUEUE, NonZeroUsize::get);
            let queue = Queue::new().timeout(wait).bound(bound);
            let explained = vec![
                Setting::new("wait", Limit::At(wait), Source::Side),
                Setting::new("queue", bound, from),
            ];
            Ok((Over::Queue(queue), explained))
        }
    }
}
