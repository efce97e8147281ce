//! Tests that check whether a layer of your own behaves correctly in a relay. One call runs them all:
//!
//! ```
//! use couplet_layers::CodecLayer;
//! use tokio_util::codec::LengthDelimitedCodec;
//!
//! # fn main() -> Result<(), couplet_conformance::Report> {
//! let layer = CodecLayer::new(LengthDelimitedCodec::new);
//! couplet_conformance::side(layer.clone()).peer(layer).check()
//! # }
//! ```
//!
//! [`side`] takes a layer of a side stack, [`pair`] a layer of a pair stack. The error is a [`Report`] that
//! names each [`Check`] that the layer failed, with the reason.
//!
//! The layer is tested between two ends, *near* and *far*: each must receive what the other sends. On a side,
//! near is the io below the layer, and far is the peer on the wire. On a pair, near is the peer of side A and
//! far the peer of side B, and the layer is above a real relay.
//!
//! A layer that changes the bytes on the wire needs a peer that speaks the same format: another layer, on the
//! other end of the wire. For a handshake that is the one that answers, for a codec the codec itself. By
//! default there is none.
//!
//! Each check has a runtime of its own with a paused clock, so that deadlines cost no time. Both peers have the
//! loopback address.

mod checks;
mod innermost;
mod report;
mod rig;
mod wire;

pub use self::{
    innermost::Innermost,
    report::{Check, Failure, Report},
};

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use couplet_endpoint::{BoxError, BoxIo, Conn};
use couplet_pairing::Pair;
use tower_layer::Layer;
use tower_service::Service;

use self::rig::{Kind, Rig};

/// The checks of a layer whose service takes an `R`. See the [module](self).
#[derive(Clone, Debug)]
pub struct Kit<R> {
    trial: Trial,
    takes: PhantomData<fn(R)>,
}

/// The checks of a layer of a side stack.
pub type SideKit = Kit<Conn<BoxIo>>;

/// The checks of a layer of a pair stack.
pub type PairKit = Kit<Pair<BoxIo, BoxIo>>;

#[derive(Clone)]
struct Trial {
    rig: Rig,
    holds: usize,
    deadline: Duration,
    has_end: bool,
}

/// Checks a layer of a side stack.
pub fn side<L>(layer: L) -> SideKit
where
    L: Layer<Innermost> + Send + Sync + 'static,
    L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
    L::Service: Clone + Send + 'static,
{
    Kit::new(Rig::new(Kind::Side, rig::side(layer)))
}

/// Checks a layer of a pair stack.
pub fn pair<L>(layer: L) -> PairKit
where
    L: Layer<Innermost> + Send + Sync + 'static,
    L::Service: Service<Pair<BoxIo, BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
    L::Service: Clone + Send + 'static,
{
    Kit::new(Rig::new(Kind::Pair, rig::pair(layer)))
}

// ===== impl Kit =====

impl<R> Kit<R> {
    const fn new(rig: Rig) -> Self {
        let trial = Trial {
            rig,
            holds: 1024 * 1024,
            deadline: Duration::from_secs(60),
            has_end: false,
        };
        Self {
            trial,
            takes: PhantomData,
        }
    }

    /// The most bytes that may be held in each direction while no peer reads; the peers' layers, and on a pair
    /// the relay, included. 1 MiB by default.
    #[must_use]
    pub const fn holds(mut self, bytes: usize) -> Self {
        self.trial.holds = bytes;
        self
    }

    /// The longest time that a call may take whose peer is silent: a connection until it is handed on, a pair
    /// until it is joined. 60 seconds by default.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.trial.deadline = deadline;
        self
    }

    /// Runs all checks.
    ///
    /// # Errors
    ///
    /// If one or more fail.
    pub fn check(self) -> Result<(), Report> {
        self.trial.check()
    }
}

// ===== impl SideKit =====

impl SideKit {
    /// Sets the peer: this layer, on the other end of the wire.
    #[must_use]
    pub fn peer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Innermost> + Send + Sync + 'static,
        L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
        L::Service: Clone + Send + 'static,
    {
        self.trial.rig.far = rig::side(layer);
        self
    }

    /// Runs [`Check::CutStreams`], too: the format on the wire has an end mark, and a stream without the mark was
    /// cut.
    #[must_use]
    pub const fn has_end(mut self) -> Self {
        self.trial.has_end = true;
        self
    }
}

// ===== impl PairKit =====

impl PairKit {
    /// Sets the peer of side A: this layer, on the other end of the wire.
    #[must_use]
    pub fn peer_a<L>(mut self, layer: L) -> Self
    where
        L: Layer<Innermost> + Send + Sync + 'static,
        L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
        L::Service: Clone + Send + 'static,
    {
        self.trial.rig.near = rig::side(layer);
        self
    }

    /// As [`peer_a`](Self::peer_a), for side B.
    #[must_use]
    pub fn peer_b<L>(mut self, layer: L) -> Self
    where
        L: Layer<Innermost> + Send + Sync + 'static,
        L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
        L::Service: Clone + Send + 'static,
    {
        self.trial.rig.far = rig::side(layer);
        self
    }
}

// ===== impl Trial =====

impl Trial {
    fn check(self) -> Result<(), Report> {
        let trial = Arc::new(self);
        let all = Check::ALL.iter().copied();
        let asked = all.filter(|check| *check != Check::CutStreams || trial.has_end);
        let failures = asked.filter_map(|check| {
            let why = checks::run(check, &trial).err()?;
            Some(Failure { check, why })
        });
        Report::of(failures.collect())
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("holds", &self.holds)
            .field("deadline", &self.deadline)
            .field("has_end", &self.has_end)
            .finish_non_exhaustive()
    }
}
