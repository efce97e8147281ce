use std::time::Duration;

use couplet_connector::{
    PairLayers,
    layers::{HandshakeLayer, handshake::meet},
};

use crate::{
    layer_spec::{LayerSpec, Sourced},
    pair::PairLayerSpec,
};

/// The handshake that tells both clients of a rendezvous that they are joined.
pub(crate) fn announce(timeout: Sourced<Option<Duration>>) -> PairLayerSpec {
    let mut layers = PairLayers::new();
    layers.push(HandshakeLayer::new(meet::announce()).timeout(timeout.value));
    LayerSpec::new("announce", layers)
}
