use couplet_connector::PairLayers;
use couplet_protocols::meet;

use crate::{handshakes::Handshakes, layer_spec::LayerSpec, pair::PairLayerSpec};

/// The handshake that tells both clients of a rendezvous that they are joined.
pub(crate) fn announce(handshakes: Handshakes) -> PairLayerSpec {
    let mut layers = PairLayers::new();
    layers.push(handshakes.layer(meet::announce()));
    LayerSpec::new("announce", layers)
}
