//! `sniff` and `route=@FILE`: the client's protocol, and the address that is dialled for it.

use std::{sync::Arc, time::Duration};

use couplet_protocols::Sniff;

use super::{Context, Does, On, SideLayerSpec, SideOption, Value, of_list};
use crate::{layer_spec::LayerSpec, mistake::Mistake, routes::Routes, side::Given, units::Limit};

pub(super) static SNIFF: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Optional("TIME"),
    help: "detect the client's protocol; a silent client goes on after TIME [default: 3s]",
    settings: &[],
    does: Does::Layer(layer),
};

pub(super) static ROUTE: SideOption = SideOption {
    name: "route",
    on: On::Dial,
    value: Value::Needed("@FILE"),
    help: "choose the address by the client's protocol: lines like `tls:example.org HOST:PORT`, `http HOST:PORT|HOST:PORT`, `ssh relay:NAME`, `* refuse`",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let (routes, again) = of_list(given.needed()?, |value| match value.strip_prefix('@') {
            Some(path) => Routes::read(path).map(Arc::new),
            None => Err(Mistake::new(
                "routes are in a file",
                format!("`route=@{value}`"),
            )),
        })?;
        endpoint.routes = Some(routes);
        endpoint.on_reload.push(again);
        Ok(())
    }),
};

/// The name of the option and of its layer.
pub(crate) const NAME: &str = "sniff";

/// The library's default.
const WAIT: Duration = Duration::from_secs(3);

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let wait = context.wait(given, given.value(), WAIT)?;
    let sniff = context.handshakes.layer(Sniff::new().wait(wait.value));
    Ok(LayerSpec::handshake(NAME, sniff)
        .set("wait", Limit::At(wait.value), wait.from)
        .bounded(context))
}
