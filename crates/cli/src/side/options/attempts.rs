//! `attempts=NUMBER/TIME`: an address that fails too often is refused, or delayed.

use std::time::Duration;

use couplet_connector::{
    SideLayers,
    layers::{Attempts, AttemptsLayer},
};

use super::{Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
    units::{Limit, duration, rate},
};

pub(super) static ATTEMPTS: SideOption = SideOption {
    name: "attempts",
    on: On::Listen,
    value: Value::Needed("NUMBER/TIME"),
    help: "refuse an address after NUMBER failed handshakes in TIME; put it before the handshakes",
    settings: &[SideSetting {
        name: "delay",
        value: "TIME",
        help: "delay the address by TIME, instead of refusing it",
        many: false,
    }],
    does: Does::Layer(|given, _| layer(given)),
};

fn layer(given: &Given<'_>) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let rate = value.parse(rate)?;
    let delay: Option<Duration> = given
        .setting("delay")
        .map(|word| word.parse(duration))
        .transpose()?;
    let mut layer = AttemptsLayer::new(Attempts::new(rate.count().get(), rate.time()));
    if let Some(delay) = delay {
        layer = layer.delay(delay);
    }
    let mut layers = SideLayers::new();
    layers.push(layer);
    let spec = LayerSpec::new("attempts", layers).set("limit", value.text, Source::Side);
    Ok(match delay {
        Some(delay) => spec.set("delay", Limit::At(delay), Source::Side),
        None => spec.set("over", "refuse", Source::Default),
    })
}
