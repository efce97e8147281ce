use std::sync::Arc;

use couplet_pairing::Pair;

use super::{Reading, Transform, Transformed};
use crate::mapped::{MapRequest, Mapped, mapped_layer};

type Make = Arc<dyn Fn() -> Box<Reading> + Send + Sync>;

/// Transforms the bytes of each pair. See the [module](super).
///
/// As a layer it gives every pair the same kind of transforms. A step before the join may choose the
/// transforms of each pair with [`apply`](Self::apply).
#[derive(Clone, Default, derive_more::Debug)]
pub struct TransformLayer {
    #[debug("{}", a_to_b.is_some())]
    a_to_b: Option<Make>,
    #[debug("{}", b_to_a.is_some())]
    b_to_a: Option<Make>,
}

/// Transforms the bytes of pairs: made by [`TransformLayer`].
pub type TransformService<S> = Mapped<TransformLayer, S>;

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

mapped_layer!(TransformLayer);

impl<A, B> MapRequest<Pair<A, B>> for TransformLayer {
    type Request = Pair<Transformed<A>, Transformed<B>>;

    fn map_request(&self, pair: Pair<A, B>) -> Self::Request {
        self.apply(pair)
    }
}
