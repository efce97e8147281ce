//! The relays of the process to which routes lead, by their names.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use couplet_connector::{
    SideLayers,
    endpoint::{BoxError, Info, handoff::HandOver},
    layers::{HandOverLayer, Replaceable},
};

use crate::{
    layer_spec::{LayerSpec, Source},
    routes::{Routes, Target},
};

/// How many connections wait until a relay takes them: as many as Linux lets wait to be accepted by
/// default.
pub(crate) const PLACES: usize = 4096;

static RELAYS: RwLock<BTreeMap<String, HandOver>> = RwLock::new(BTreeMap::new());

/// From now on routes lead to these.
pub(crate) fn set(relays: BTreeMap<String, HandOver>) {
    *RELAYS.write().unwrap_or_else(PoisonError::into_inner) = relays;
}

/// From now on routes lead there, too.
pub(crate) fn add(name: &str, relay: HandOver) {
    let mut relays = RELAYS.write().unwrap_or_else(PoisonError::into_inner);
    relays.insert(name.to_owned(), relay);
}

/// The layer of a side for whose clients these routes choose.
pub(crate) fn layer(routes: &Replaceable<Arc<Routes>>) -> LayerSpec<SideLayers> {
    let to = routes.current().relays().collect::<Vec<_>>().join("+");
    let routes = routes.clone();
    let mut layers = SideLayers::new();
    layers.push(HandOverLayer::new(move |client: &Info| {
        relay_for(&routes.current(), client)
    }));
    let spec = LayerSpec::new("hand-over", layers);
    match to.is_empty() {
        true => spec,
        false => spec.set("to", to, Source::Side),
    }
}

fn relay_for(routes: &Routes, client: &Info) -> Result<Option<HandOver>, BoxError> {
    let Some(Target::Relay(name)) = routes.find(client) else {
        return Ok(None);
    };
    let relays = RELAYS.read().unwrap_or_else(PoisonError::into_inner);
    let Some(relay) = relays.get(name) else {
        return Err(format!("no relay `{name}` takes connections by route").into());
    };
    tracing::debug!(conn = client.id.get(), relay = name, "handed over");
    Ok(Some(relay.clone()))
}
