use std::{
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Io};
use couplet_pairing::Pair;
use couplet_relay::Summary;
use futures::future::BoxFuture;
use tower::{
    Layer, Service, ServiceExt,
    util::{BoxCloneService, Either, MapErr},
};

use crate::{BoxPair, stack::PairStack};

/// The boxed services below a [list](PairLayers) of layers.
///
/// Takes pairs of any ios, and hands them on boxed.
#[derive(Clone, Debug)]
pub struct PairSlot(BoxCloneService<BoxPair, Summary, BoxError>);

/// A list of pair layers, top to bottom, made at run time.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("PairLayers({})", _0.len())]
pub struct PairLayers(Vec<Arc<dyn PairLayer>>);

trait PairLayer: Send + Sync {
    fn on(&self, inner: PairSlot) -> PairSlot;
}

// ===== impl PairLayers =====

impl PairLayers {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a layer below the earlier ones.
    pub fn push<L>(&mut self, layer: L)
    where
        L: Layer<PairSlot, Service: PairStack + Clone> + Send + Sync + 'static,
    {
        self.0.push(Arc::new(layer));
    }

    /// Adds the layers of another list below the earlier ones.
    pub fn append(&mut self, layers: Self) {
        self.0.extend(layers.0);
    }
}

impl<S: PairStack + Clone> Layer<S> for PairLayers {
    type Service = Either<PairSlot, MapErr<S, fn(S::Error) -> BoxError>>;

    fn layer(&self, innermost: S) -> Self::Service {
        if self.0.is_empty() {
            return Either::Right(innermost.map_err(Into::into));
        }
        let innermost = boxed(innermost);
        let layers = self.0.iter().rev();
        Either::Left(layers.fold(innermost, |inner, layer| layer.on(inner)))
    }
}

// ===== impl PairLayer =====

impl<L> PairLayer for L
where
    L: Layer<PairSlot, Service: PairStack + Clone> + Send + Sync,
{
    fn on(&self, inner: PairSlot) -> PairSlot {
        boxed(self.layer(inner))
    }
}

fn boxed(service: impl PairStack + Clone) -> PairSlot {
    PairSlot(service.map_err(Into::into).boxed_clone())
}

// ===== impl PairSlot =====

impl<A: Io, B: Io> Service<Pair<A, B>> for PairSlot {
    type Response = Summary;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Summary, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        self.0.call(pair.boxed())
    }
}
