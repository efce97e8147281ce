//! `allow=…` and `deny=…`: who may come in.

use couplet_connector::{
    SideLayers,
    endpoint::AddressError,
    layers::{AccessLayer, AccessList, Networks, access::InvalidNetwork},
};

use super::{Does, On, SideOption, SideStep, Value};
use crate::{
    side::Given,
    step::{Source, Step},
};

const NETWORKS: Value = Value::Needed("NETWORK+…|@FILE");

pub(super) static ALLOW: SideOption = SideOption {
    name: "allow",
    on: On::Either,
    value: NETWORKS,
    help: "let only these networks in, as 10.0.0.0/8; on dial, reach no others",
    settings: &[],
    does: Does::Layer(|given, _| layer("allow", AccessList::allow, given)),
};

pub(super) static DENY: SideOption = SideOption {
    name: "deny",
    on: On::Either,
    value: NETWORKS,
    help: "let these networks not in; on dial, don't reach them",
    settings: &[],
    does: Does::Layer(|given, _| layer("deny", AccessList::deny, given)),
};

/// A layer for each of the two: who has to pass both is denied if either does, in any order.
fn layer(
    name: &'static str,
    list: fn(AccessList, Networks) -> AccessList,
    given: &Given<'_>,
) -> Result<SideStep, AddressError> {
    let value = given.needed()?;
    let networks = value.parse(networks)?;
    let mut layers = SideLayers::new();
    layers.push(AccessLayer::new(list(AccessList::new(), networks)));
    let (what, text) = match value.text.strip_prefix('@') {
        Some(path) => ("file", path),
        None => ("networks", value.text),
    };
    Ok(Step::new(name, layers)
        .for_each()
        .set(what, text, Source::Side))
}

/// `NETWORK+…`, or `@FILE`.
pub(super) fn networks(text: &str) -> Result<Networks, String> {
    match text.strip_prefix('@') {
        Some(path) => Networks::read(path).map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", why.unwrap_or_default())
        }),
        None => text
            .parse()
            .map_err(|error: InvalidNetwork| error.to_string()),
    }
}
