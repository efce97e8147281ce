use std::sync::Arc;

use couplet_endpoint::Side;
use tower::Layer;

use super::SideHandshake;
use crate::{
    slot::{Passage, Slot},
    stack::SideStack,
};

/// A list of side layers, top to bottom, made at run time.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("SideLayers({})", _0.len())]
pub struct SideLayers(Vec<Arc<dyn SideLayer>>);

/// A layer whose services are boxed.
trait SideLayer: Send + Sync {
    fn on(&self, inner: Slot) -> Slot;
}

// ===== impl SideLayers =====

impl SideLayers {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a layer below the earlier ones.
    pub fn push<L>(&mut self, layer: L)
    where
        L: Layer<Slot, Service: SideStack + Clone> + Send + Sync + 'static,
    {
        self.0.push(Arc::new(layer));
    }

    /// Adds the layers of another list below the earlier ones.
    pub fn append(&mut self, layers: Self) {
        self.0.extend(layers.0);
    }

    /// All of them as one handshake, for connections that are on this side and have no place in its stack.
    pub fn handshake(&self, side: Side) -> SideHandshake {
        SideHandshake::new(Passage::new(side, |slot| self.layer(slot)))
    }
}

impl<S: SideStack + Clone> Layer<S> for SideLayers {
    type Service = Slot;

    fn layer(&self, innermost: S) -> Slot {
        let layers = self.0.iter().rev();
        layers.fold(Slot::stack(innermost), |inner, layer| layer.on(inner))
    }
}

// ===== impl SideLayer =====

impl<L> SideLayer for L
where
    L: Layer<Slot, Service: SideStack + Clone> + Send + Sync,
{
    fn on(&self, inner: Slot) -> Slot {
        Slot::stack(self.layer(inner))
    }
}
