//! `max-conns=…`, `max-per-addr=…`, `rate=…`, `rate-per-addr=…`: how many connections a side takes,
//! and how fast.

use std::{num::NonZeroUsize, time::Duration};

use couplet_connector::{
    SideLayers,
    layers::{
        ConnLimitLayer, ConnRateLayer, Over,
        admission::limits::{LimitCounts, Queue},
    },
};

use super::{Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{
    layer_spec::{LayerSpec, Setting, Source, Sourced},
    mistake::Mistake,
    side::Given,
    units::{Limit, count, duration, rate},
};

const NUMBER: Value = Value::Needed("NUMBER");
const RATE: Value = Value::Needed("NUMBER/TIME");

/// How many may wait where it is not said.
const QUEUE: usize = 1024;

/// The same of one address.
const QUEUE_PER_ADDR: usize = 32;

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
        help: "how many connections may wait [default: 1024]",
        many: false,
    },
    SideSetting {
        name: "queue-per-addr",
        value: "NUMBER",
        help: "how many connections of one address may wait [default: 32]",
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
    help: "at most NUMBER open connections; put it behind max-per-addr",
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
    help: "at most NUMBER new connections in TIME; put it behind rate-per-addr",
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
    let counts = LimitCounts::new();
    let mut layers = SideLayers::new();
    layers.push(
        limit(number.get())
            .over(over)
            .counts(counts.clone())
            .shared(),
    );
    let mut spec = LayerSpec::new(name, layers).set("limit", number, Source::Side);
    spec.settings.extend(explained);
    spec.watch.queue = queue(over, counts);
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
    let counts = LimitCounts::new();
    let mut layers = SideLayers::new();
    layers.push(limit(rate).over(over).counts(counts.clone()).shared());
    let mut spec = LayerSpec::new(name, layers).set("limit", value.text, Source::Side);
    spec.settings.extend(explained);
    spec.watch.queue = queue(over, counts);
    Ok(spec)
}

/// The counts of a limit that has a queue.
fn queue(over: Over, counts: LimitCounts) -> Option<LimitCounts> {
    matches!(over, Over::Queue(_)).then_some(counts)
}

/// What becomes of those beyond the limit, and how that is explained.
fn over(given: &Given<'_>, name: &str) -> Result<(Over, Vec<Setting>), Mistake> {
    let wait: Option<Duration> = given
        .setting("wait")
        .map(|word| word.parse(duration))
        .transpose()?;
    let bound = |setting, default| -> Result<Sourced<usize>, Mistake> {
        let given = given.setting(setting).map(|word| word.parse(count));
        let given = given.transpose()?.map(NonZeroUsize::get);
        Ok(Sourced::flag(None, default).unless(given))
    };
    let queue = bound("queue", QUEUE)?;
    let of_one = bound("queue-per-addr", QUEUE_PER_ADDR)?;
    let Some(wait) = wait else {
        let given_bound = [("queue", queue), ("queue-per-addr", of_one)]
            .into_iter()
            .find(|(_, bound)| bound.from == Source::Side);
        return match given_bound {
            None => {
                let refuse = Setting::new("over", "refuse", Source::Default);
                Ok((Over::Refuse, vec![refuse]))
            }
            Some((setting, _)) => Err(given.wrong(
                format!("`{name}.{setting}` does nothing without `{name}.wait`"),
                format!("`{name}.wait=TIME`: connections over the limit wait for TIME"),
            )),
        };
    };
    let over = Queue::new()
        .timeout(wait)
        .bound(queue.value)
        .per_address(of_one.value);
    let explained = vec![
        Setting::new("wait", Limit::At(wait), Source::Side),
        Setting::new("queue", queue.value, queue.from),
        Setting::new("queue-per-addr", of_one.value, of_one.from),
    ];
    Ok((Over::Queue(over), explained))
}
