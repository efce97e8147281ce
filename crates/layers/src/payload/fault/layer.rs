use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use couplet_endpoint::Side;
use couplet_pairing::Pair;
use fastrand::Rng;
use tower_layer::Layer;
use tower_service::Service;

use super::{Fault, FaultSwitch, Faulty, active::Active};

/// Lets something go wrong. See the [module](super).
///
/// Clones share the switch, and count their pairs together.
#[derive(Clone, Debug)]
pub struct FaultLayer {
    fault: Fault,
    only: Option<Side>,
    probability: f64,
    seed: u64,
    switch: FaultSwitch,
    /// How many pairs have come.
    pairs: Arc<AtomicU64>,
}

/// Lets something go wrong with pairs: made by [`FaultLayer`].
#[derive(Clone, Debug)]
pub struct FaultService<S> {
    layer: FaultLayer,
    inner: S,
}

/// Odd, with bits everywhere: numbers that follow each other become seeds that have nothing in common.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

// ===== impl FaultLayer =====

impl FaultLayer {
    /// This fault, in both directions of every pair, from the start.
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

    /// In what comes from this side alone: with [`Side::A`], the direction A to B.
    #[must_use]
    pub const fn only(mut self, from: Side) -> Self {
        self.only = Some(from);
        self
    }

    /// How likely it is that a pair has the fault: from 0 for never to 1 for always, the default.
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

    /// What chance is drawn from. The same seed makes the same faults, in two layers as well.
    ///
    /// By default each layer has another: the number of fault layers that the process has made
    /// before.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The switch of this fault.
    pub fn switch(&self) -> FaultSwitch {
        self.switch.clone()
    }

    fn apply<A, B>(&self, pair: Pair<A, B>) -> Pair<Faulty<A>, Faulty<B>> {
        let number = self.pairs.fetch_add(1, Ordering::Relaxed);
        let mut random = Rng::with_seed(self.seed);
        let seed = random.u64(..) ^ number.wrapping_mul(SPREAD);
        random.seed(seed);
        let mut random = random.fork();
        let is_met = random.f64() < self.probability;
        let mut active = |from| {
            // Drawn for both, so that a direction alone fares as it does beside the other.
            let random = random.fork();
            let concerns = is_met && self.only.is_none_or(|only| only == from);
            concerns.then(|| Active::new(self.fault, self.switch.watch(), random))
        };
        let (a, b) = (active(Side::A), active(Side::B));
        pair.map_a(|io| Faulty::new(io, a))
            .map_b(|io| Faulty::new(io, b))
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService {
            layer: self.clone(),
            inner,
        }
    }
}

// ===== impl FaultService =====

impl<S> FaultService<S> {
    crate::accessors::inner_accessors!();
}

impl<A, B, S> Service<Pair<A, B>> for FaultService<S>
where
    S: Service<Pair<Faulty<A>, Faulty<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> S::Future {
        self.inner.call(self.layer.apply(pair))
    }
}
