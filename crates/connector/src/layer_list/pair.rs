use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Io};
use couplet_pairing::Pair;
use couplet_relay::Summary;
use tower::{
    Layer, Service, ServiceExt,
    util::{BoxCloneService, Either, MapErr},
};

use crate::BoxPair;

/// A pair stack whose type is forgotten.
pub type BoxPairService = PairSeat<BoxCloneService<BoxPair, Summary, BoxError>>;

/// Takes pairs of any ios and hands them on boxed.
#[derive(Clone, Debug)]
pub struct PairSeat<S>(S);

/// The layers of the pair stack, top to bottom, as a list: see the [module](super).
#[derive(Clone, Default)]
pub struct PairLayers(Vec<Arc<dyn PairLayer>>);

trait PairLayer: Send + Sync {
    fn on(&self, inner: BoxPairService) -> BoxPairService;
}

/// The bounds of a pair stack that can be boxed.
pub trait BoxablePair:
    Service<BoxPair, Response = Summary, Error: Into<BoxError>, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

// ===== impl PairLayers =====

impl PairLayers {
    /// With none.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a layer below those that are there.
    pub fn push<L>(&mut self, layer: L)
    where
        L: Layer<BoxPairService, Service: BoxablePair> + Send + Sync + 'static,
    {
        self.0.push(Arc::new(layer));
    }

    /// Adds the layers of another list below those that are there.
    pub fn append(&mut self, layers: Self) {
        self.0.extend(layers.0);
    }
}

impl<S: BoxablePair> Layer<S> for PairLayers {
    type Service = Either<BoxPairService, MapErr<S, fn(S::Error) -> BoxError>>;

    fn layer(&self, innermost: S) -> Self::Service {
        if self.0.is_empty() {
            return Either::Right(innermost.map_err(Into::into));
        }
        let innermost = boxed(innermost);
        let layers = self.0.iter().rev();
        Either::Left(layers.fold(innermost, |inner, layer| layer.on(inner)))
    }
}

impl fmt::Debug for PairLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairLayers({})", self.0.len())
    }
}

// ===== impl PairLayer =====

impl<L> PairLayer for L
where
    L: Layer<BoxPairService, Service: BoxablePair> + Send + Sync,
{
    fn on(&self, inner: BoxPairService) -> BoxPairService {
        boxed(self.layer(inner))
    }
}

fn boxed(service: impl BoxablePair) -> BoxPairService {
    PairSeat(service.map_err(Into::into).boxed_clone())
}

impl<S> BoxablePair for S where
    S: Service<BoxPair, Response = Summary, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

// ===== impl PairSeat =====

impl<A, B, S> Service<Pair<A, B>> for PairSeat<S>
where
    A: Io,
    B: Io,
    S: Service<BoxPair>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> S::Future {
        self.0.call(pair.boxed())
    }
}
