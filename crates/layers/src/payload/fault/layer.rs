use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use couplet_endpoint::Side;
use couplet_pairing::Pair;
use fastrand::Rng;

use super::{Fault, FaultSwitch, Faulty, active::Active};
use crate::mapped::{MapRequest, Mapped, mapped_layer};

/// Simulates a bad network. See the [module](super).
///
/// Clones share the switch, and count their pairs together.
#[derive(Clone, Debug)]
pub struct FaultLayer {
    fault: Fault,
    only: Option<Side>,
    probability: f64,
    seed: u64,
    switch: FaultSwitch,
    /// The number of pairs so far.
    pairs: Arc<AtomicU64>,
}

/// Simulates a bad network for pairs: made by [`FaultLayer`].
pub type FaultService<S> = Mapped<FaultLayer, S>;

/// An odd number with well-spread bits (the golden ratio): it turns consecutive numbers into unrelated
/// seeds.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

// ===== impl FaultLayer =====

impl FaultLayer {
    /// A layer with this fault in both directions of every pair, switched on.
    pub fn new(fault: Fault) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            fault,
            only: None,
            probability: 1.0,
            seed: NEXT.fetch_add(1, Ordering::Relaxed),
            switch: FaultSwitch::new(),
            pairs: Arc::default(),
        }
    }

    /// Limits the fault to the bytes from this side: with [`Side::A`], the direction A to B.
    #[must_use]
    pub const fn only(mut self, from: Side) -> Self {
        self.only = Some(from);
        self
    }

    /// The probability that a pair has the fault: from 0, never, to 1, always, the default.
    ///
    /// # Panics
    ///
    /// If the probability is not from 0 to 1.
    #[must_use]
    pub const fn probability(mut self, probability: f64) -> Self {
        assert!(
            probability >= 0.0 && probability <= 1.0,
            "a probability is from 0 to 1"
        );
        self.probability = probability;
        self
    }

    /// The seed of the random numbers. The same seed makes the same faults, also in two layers.
    ///
    /// By default each layer has another seed: the number of fault layers that the process made before.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The switch of this fault.
    pub fn switch(&self) -> FaultSwitch {
        self.switch.clone()
    }
}

mapped_layer!(FaultLayer);

impl<A, B> MapRequest<Pair<A, B>> for FaultLayer {
    type Request = Pair<Faulty<A>, Faulty<B>>;

    fn map_request(&self, pair: Pair<A, B>) -> Self::Request {
        let number = self.pairs.fetch_add(1, Ordering::Relaxed);
        let mut random = Rng::with_seed(self.seed);
        let seed = random.u64(..) ^ number.wrapping_mul(SPREAD);
        random.seed(seed);
        let mut random = random.fork();
        let is_met = random.f64() < self.probability;
        let mut active = |from| {
            // Drawn for both directions, so that `only` does not change the numbers of the other.
            let random = random.fork();
            let concerns = is_met && self.only.is_none_or(|only| only == from);
            concerns.then(|| Active::new(self.fault, self.switch.watch(), random))
        };
        let (a, b) = (active(Side::A), active(Side::B));
        pair.map_a(|io| Faulty::new(io, a))
            .map_b(|io| Faulty::new(io, b))
    }
}
