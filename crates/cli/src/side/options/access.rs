//! `allow=…` and `deny=…`: access by network.

use couplet_connector::{
    SideLayers,
    endpoint::Address,
    layers::{AccessLayer, AccessList, Networks, Replaceable},
};

use super::{Context, Does, On, SideLayerSpec, SideOption, Value, of_list};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    networks::networks,
    reload::OnReload,
    side::{EndpointSpec, Given, Word, endpoint::Access},
};

const NETWORKS: Value = Value::Needed("NETWORK+…|@FILE");

pub(super) static ALLOW: SideOption = SideOption {
    name: "allow",
    on: On::Either,
    value: NETWORKS,
    help: "accept only these networks, as 10.0.0.0/8; on dial, connect to no others",
    settings: &[],
    does: Does::Both(
        |endpoint, given| set("allow", AccessList::allow, endpoint, given),
        |given, context| layer("allow", given, context),
    ),
};

pub(super) static DENY: SideOption = SideOption {
    name: "deny",
    on: On::Either,
    value: NETWORKS,
    help: "reject these networks; on dial, never connect to them",
    settings: &[],
    does: Does::Both(
        |endpoint, given| set("deny", AccessList::deny, endpoint, given),
        |given, context| layer("deny", given, context),
    ),
};

/// The list, for the layer, and for a dial: that asks it before it connects to an address.
fn set(
    name: &'static str,
    fill: fn(AccessList, Networks) -> AccessList,
    endpoint: &mut EndpointSpec,
    given: &Given<'_>,
) -> Result<(), Mistake> {
    let value = given.needed()?;
    // What strangers ask for may be no address of special purpose that is not named.
    let empty = match endpoint.address {
        Address::DialAsked => AccessList::new().public(),
        _ => AccessList::new(),
    };
    let (list, on_reload) = of_networks(value, move |networks| fill(empty.clone(), networks))?;
    endpoint.access.push(Access {
        name,
        list,
        on_reload,
    });
    Ok(())
}

/// A layer for each of the two options: a connection has to pass both, in any order.
fn layer(
    name: &'static str,
    given: &Given<'_>,
    context: &Context<'_>,
) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let mut lists = context.endpoint.access.iter();
    let access = lists
        .find(|access| access.name == name)
        .expect("the option has set it");
    let mut layers = SideLayers::new();
    // Behind a proxy the peer is the proxy; the dial judges the target.
    if context.endpoint.via.is_empty() {
        layers.push(AccessLayer::new(access.list.clone()));
    }
    let (what, text) = match value.text.strip_prefix('@') {
        Some(path) => ("file", path),
        None => ("networks", value.text),
    };
    Ok(LayerSpec::new(name, layers)
        .set(what, text, Source::Side)
        .on_reload(access.on_reload.clone()))
}

/// A part of a layer that is made of `NETWORK+…`, or of what `@FILE` says, and anew at each SIGHUP.
pub(super) fn of_networks<T: Send + Sync + 'static>(
    value: Word<'_>,
    make: impl Fn(Networks) -> T + Send + Sync + 'static,
) -> Result<(Replaceable<T>, Option<OnReload>), Mistake> {
    if value.text.starts_with('@') {
        let (part, again) = of_list(value, move |value| networks(value).map(&make))?;
        return Ok((part, Some(again)));
    }
    Ok((Replaceable::new(value.parse(networks).map(make)?), None))
}
