//! What is to be done.

use std::{num::NonZeroUsize, thread, time::Duration};

use couplet_connector::{
    endpoint::Side,
    layers::{Capture, FaultSwitch},
};

use crate::{
    hangup::OnHangup,
    log_file::LogFile,
    pair::PairStep,
    rendezvous::Meeting,
    side::{
        EndpointFlags, SideSpec,
        options::{rendezvous, sniff},
    },
    step::Known,
    units::Threads,
};

/// What is to be done, as the command line says it, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) a: SideSpec,
    /// In a rendezvous by key the same as A.
    pub(crate) b: SideSpec,
    pub(crate) meeting: Option<Meeting>,
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
    /// To be started by then, too.
    pub(crate) capture: Option<Capture>,
}

/// How connections meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pairing {
    /// Both wait for each other.
    Rendezvous,
    /// A connection of the one side waits while the other is dialled for it.
    DialFor,
}

// ===== impl Plan =====

impl Plan {
    /// Each once.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (Side, &SideSpec)> {
        let b = self.meeting.is_none().then_some((Side::B, &self.b));
        [(Side::A, &self.a)].into_iter().chain(b)
    }

    /// What is done at SIGHUP.
    pub(crate) fn on_hangup(&self) -> Vec<OnHangup> {
        let log = self.access_log.iter().map(LogFile::on_hangup);
        let sides = self.sides().flat_map(|(_, spec)| {
            let steps = spec.steps.iter().map(|step| &step.on_hangup);
            steps.chain([&spec.endpoint.on_hangup]).flatten().cloned()
        });
        log.chain(sides).collect()
    }

    /// The faults of the pair, to be switched off and on.
    pub(crate) fn faults(&self) -> Vec<FaultSwitch> {
        let switches = self.pair.iter().map(|step| step.switch.clone());
        switches.flatten().collect()
    }

    /// How many threads move the bytes; any of them goes on with any pair, so that none waits for
    /// one that is busy.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let comes = [&self.a, &self.b].map(|side| side.endpoint.comes());
        match self.threads {
            // There is one pair at a time.
            _ if self.once || comes == [false, false] => NonZeroUsize::MIN,
            Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Threads::Count(count) => count,
        }
    }

    pub(crate) fn pairing(&self) -> Pairing {
        match (self.a.endpoint.comes(), self.b.endpoint.comes()) {
            (true, true) => Pairing::Rendezvous,
            (false, true) if self.once => Pairing::Rendezvous,
            _ => Pairing::DialFor,
        }
    }

    /// The side that is dialled for the connections of the other, and that other's side.
    pub(crate) fn dialled_for(&self) -> Option<(&SideSpec, &SideSpec)> {
        match self.pairing() {
            Pairing::Rendezvous => None,
            Pairing::DialFor if !self.b.endpoint.comes() => Some((&self.b, &self.a)),
            Pairing::DialFor => Some((&self.a, &self.b)),
        }
    }

    /// An option that would do nothing here, because of how its side is paired, is a mistake.
    pub(crate) fn refuse_idle_options(&self) -> Result<(), String> {
        let partner = self.dialled_for();
        let sniffs = |spec: &SideSpec| spec.steps.iter().any(|step| step.name == sniff::NAME);
        let waits = |spec: &SideSpec| spec.steps.iter().any(|step| step.name == rendezvous::NAME);
        for (side, spec, other) in [(Side::A, &self.a, &self.b), (Side::B, &self.b, &self.a)] {
            let has_pool = spec.endpoint.keep.is_some();
            // It is a listening side that holds its connections up, or their rendezvous.
            let endless = !waits(spec) && other.endpoint.is_dialled() && !waits(other);
            let for_others = partner.filter(|(dialled, _)| std::ptr::eq(*dialled, spec));
            let wrong = match for_others {
                _ if has_pool && endless => {
                    "`keep` would dial without end: each of its connections is joined at once, and \
                     then there is room for the next; with `rendezvous` they wait for a partner"
                }
                None if spec.endpoint.tells_for_whom => {
                    "`proxy-protocol` has nobody to tell of: it is not dialled for a connection of \
                     the other side"
                }
                None if spec.endpoint.routes.is_some() => {
                    "`route` has nothing to choose by: it is not dialled for a connection of the \
                     other side"
                }
                Some((_, other)) if spec.endpoint.routes.is_some() && !sniffs(other) => {
                    "`route` goes by what the client speaks: the other side needs `sniff`"
                }
                Some(_) if sniffs(spec) => {
                    "`sniff` is for the side whose client speaks first, not for the one that is \
                     dialled for it"
                }
                _ => continue,
            };
            return Err(format!("side {side}: {wrong}"));
        }
        Ok(())
    }
}
