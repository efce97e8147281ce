//! The bounds of every handshake of a side.

use std::{num::NonZeroUsize, time::Duration};

use couplet_connector::layers::HandshakeLayer;

use crate::{
    layer_spec::{LayerSpec, Sourced},
    units::Limit,
};

/// `--handshake-timeout` and `--max-handshakes`: they bound each handshake by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshakes {
    pub(crate) timeout: Sourced<Option<Duration>>,
    pub(crate) bound: Sourced<usize>,
}

// ===== impl Handshakes =====

impl Handshakes {
    /// What the flags say, or else the library's defaults.
    pub(crate) fn flags(timeout: Option<Limit<Duration>>, bound: Option<NonZeroUsize>) -> Self {
        Self {
            timeout: Sourced::flag(timeout.map(Limit::get), Some(Duration::from_secs(10))),
            bound: Sourced::flag(bound.map(NonZeroUsize::get), 1024),
        }
    }

    /// A handshake with these bounds.
    pub(crate) fn layer<H>(self, handshake: H) -> HandshakeLayer<H> {
        HandshakeLayer::new(handshake)
            .timeout(self.timeout.value)
            .bound(self.bound.value)
    }

    /// Explains the bounds of a handshake.
    pub(crate) fn explain<L>(self, spec: LayerSpec<L>) -> LayerSpec<L> {
        let shown = self.timeout.value.map_or(Limit::Off, Limit::At);
        spec.set(DEADLINE, shown, self.timeout.from).set(
            "max-handshakes",
            self.bound.value,
            self.bound.from,
        )
    }

    /// Do the flags bound this layer?
    pub(crate) fn bounds<L>(spec: &LayerSpec<L>) -> bool {
        spec.settings.iter().any(|setting| setting.name == DEADLINE)
    }
}

/// The name of the deadline of a handshake where it is explained.
const DEADLINE: &str = "handshake-timeout";
