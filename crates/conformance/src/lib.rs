//! Tests that check whether a layer of your own behaves as one of a relay must. One call makes them all:
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
//! [`side`] takes a layer of a side stack, [`pair`] one of a pair stack. What came of it is a
//! [`Report`] that names each [`Check`] the layer has failed, and how.
//!
//! The layer is put between two ends, *near* and *far*, and what the one says the other must hear.
//! On a side, near is the io that the layer lets through, and far is the peer on the wire. On a
//! pair, near is the peer of side A and far that of side B, and the layer stands above a real relay.
//! A layer that changes what is on the wire needs a peer that speaks it: another layer, which is put
//! on the other end of the wire. For a handshake it is the one that answers, for a codec the codec
//! itself; by default it is none.
//!
//! Each check has a runtime of its own whose clock is paused, so that deadlines cost no time. Both
//! peers are at the loopback address.

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

/// What a layer goes through whose service takes an `R`. See the [module](self).
#[derive(Clone, Debug)]
pub struct Kit<R> {
    trial: Trial,
    takes: PhantomData<fn(R)>,
}

/// What a layer of a side stack goes through.
pub type SideKit = Kit<Conn<BoxIo>>;

/// What a layer of a pair stack goes through.
pub type PairKit = Kit<Pair<BoxIo, BoxIo>>;

#[derive(Clone)]
struct Trial {
    rig: Rig,
    holds: usize,
    deadline: Duration,
    has_end: bool,
}

/// Tries a layer of a side stack.
pub fn side<L>(layer: L) -> SideKit
where
    L: Layer<Innermost> + Send + Sync + 'static,
    L::Service: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static>,
    L::Service: Clone + Send + 'static,
{
    Kit::new(Rig::new(Kind::Side, rig::side(layer)))
}

/// Tries a layer of a pair stack.
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

    /// How many bytes of each direction may be held where nobody reads, by the peers' layers too, and on a
    /// pair by the relay. 1 MiB by default.
    #[must_use]
    pub const fn holds(mut self, bytes: usize) -> Self {
        self.trial.holds = bytes;
        self
    }

    /// How long a connection whose peer says nothing may take, or a pair until it is joined. 60 seconds by
    /// default.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.trial.deadline = deadline;
        self
    }

    /// Makes all checks.
    ///
    /// # Errors
    ///
    /// When one or more have failed.
    pub fn check(self) -> Result<(), Report> {
        self.trial.check()
    }
}

// ===== impl SideKit =====

impl SideKit {
    /// The peer speaks so: this layer, on the other end of the wire.
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

    /// What is on the wire has an end of its own, so a stream without it was cut: then
    /// [`Check::CutStreams`] is made, too.
    #[must_use]
    pub const fn has_end(mut self) -> Self {
        self.trial.has_end = true;
        self
    }
}

// ===== impl PairKit =====

impl PairKit {
    /// The peer of side A speaks so: this layer, on the other end of its wire.
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
