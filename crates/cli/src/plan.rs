//! What is to be done.

use std::{num::NonZeroUsize, thread, time::Duration};

use crate::{
    log_file::LogFile,
    pair::PairStep,
    side::{EndpointFlags, SideSpec},
    step::Known,
    units::Threads,
};

/// What is to be done, as the command line says it, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) a: SideSpec,
    pub(crate) b: SideSpec,
    pub(crate) endpoint_flags: EndpointFlags,
    /// Top to bottom, without the timeouts below.
    pub(crate) pair: Vec<PairStep>,
    pub(crate) wait_timeout: Known<Option<Duration>>,
    pub(crate) half_close_timeout: Known<Option<Duration>>,
    pub(crate) idle_timeout: Known<Option<Duration>>,
    pub(crate) max_lifetime: Known<Option<Duration>>,
    pub(crate) drain_timeout: Known<Option<Duration>>,
    pub(crate) max_pairs: Option<usize>,
    pub(crate) once: bool,
    pub(crate) exit_when_idle: Option<Duration>,
    pub(crate) reconnect: bool,
    pub(crate) threads: Threads,
    /// To be opened before the first connection comes.
    pub(crate) access_log: Option<LogFile>,
}

/// How connections meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pairing {
    /// Both wait for each other.
    Rendezvous,
    /// A connection of the one side waits while the other is dialled for it.
    DialFor,
}

/// Which threads move the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// One: none ever has to wake another.
    One,
    /// So many, each with a runtime, a listening socket and pairs of its own.
    Apart(NonZeroUsize),
    /// So many in one runtime, where any may go on with any pair: pairs share something.
    Together(NonZeroUsize),
}

// ===== impl Plan =====

impl Plan {
    /// Threads that share nothing don't wake each other, which saves about a tenth of the time that
    /// a short connection or a small message takes.
    pub(crate) fn shape(&self) -> Shape {
        let count = match self.threads {
            Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Threads::Count(count) => count,
        };
        let dialled = [&self.a, &self.b].map(|side| side.endpoint.is_dialled());
        // There is one pair at a time.
        let one_pair = self.once || dialled == [true, true];
        if count == NonZeroUsize::MIN || one_pair {
            return Shape::One;
        }
        let counted_together = self.max_pairs.is_some() || self.exit_when_idle.is_some();
        let steps = [&self.a, &self.b].map(|side| side.steps.iter().any(|step| step.shared));
        let shared = steps.contains(&true) || self.pair.iter().any(|step| step.shared);
        if cfg!(target_os = "linux")
            && self.pairing() == Pairing::DialFor
            && !counted_together
            && !shared
        {
            Shape::Apart(count)
        } else {
            Shape::Together(count)
        }
    }

    pub(crate) fn pairing(&self) -> Pairing {
        match (self.a.endpoint.is_dialled(), self.b.endpoint.is_dialled()) {
            (false, false) => Pairing::Rendezvous,
            (true, false) if self.once => Pairing::Rendezvous,
            _ => Pairing::DialFor,
        }
    }
}
