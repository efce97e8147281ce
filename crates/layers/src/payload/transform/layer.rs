use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_pairing::Pair;
use tower_layer::Layer;
use tower_service::Service;

use super::{Reading, Transform, Transformed};

type Make = Arc<dyn Fn() -> Box<Reading> + Send + Sync>;

/// Transforms the bytes of each pair. See the [module](super).
///
/// As a layer it gives every pair the same kind of transforms. A step before the join may choose the
/// transforms of each pair with [`apply`](Self::apply).
#[derive(Clone, Default)]
pub struct TransformLayer {
    a_to_b: Option<Make>,
    b_to_a: Option<Make>,
}

/// Transforms the bytes of pairs: made by [`TransformLayer`].
#[derive(Clone, Debug)]
pub struct TransformService<S> {
    transforms: TransformLayer,
    inner: S,
}

// ===== impl TransformLayer =====

impl TransformLayer {
    /// A layer without a transform in either direction.
    pub const fn new() -> Self {
        Self {
            a_to_b: None,
            b_to_a: None,
        }
    }

    /// Puts the bytes from A through a transform; `make` makes one for each pair.
    #[must_use]
    pub fn a_to_b<T: Transform>(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.a_to_b = Some(Arc::new(move || Box::new(Reading::new(make()))));
        self
    }

    /// Puts the bytes from B through a transform; `make` makes one for each pair.
    #[must_use]
    pub fn b_to_a<T: Transform>(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.b_to_a = Some(Arc::new(move || Box::new(Reading::new(make()))));
        self
    }

    /// Gives this pair its transforms.
    pub fn apply<A, B>(&self, pair: Pair<A, B>) -> Pair<Transformed<A>, Transformed<B>> {
        let make = |make: &Option<Make>| make.as_ref().map(|make| make());
        pair.map_a(|io| Transformed::with(io, make(&self.a_to_b), None))
            .map_b(|io| Transformed::with(io, make(&self.b_to_a), None))
    }
}

impl<S> Layer<S> for TransformLayer {
    type Service = TransformService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TransformService {
            transforms: self.clone(),
            inner,
        }
    }
}

impl fmt::Debug for TransformLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformLayer")
            .field("a_to_b", &self.a_to_b.is_some())
            .field("b_to_a", &self.b_to_a.is_some())
            .finish()
    }
}

// ===== impl TransformService =====

impl<S> TransformService<S> {
    crate::accessors::inner_accessors!();
}

impl<A, B, S> Service<Pair<A, B>> for TransformService<S>
where
    S: Service<Pair<Transformed<A>, Transformed<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> S::Future {
        self.inner.call(self.transforms.apply(pair))
    }
}
