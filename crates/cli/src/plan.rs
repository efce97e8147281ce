//! What is to be done.

use std::time::Duration;

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

// ===== impl Plan =====

impl Plan {
    pub(crate) fn pairing(&self) -> Pairing {
        match (self.a.endpoint.is_dialled(), self.b.endpoint.is_dialled()) {
            (false, false) => Pairing::Rendezvous,
            (true, false) if self.once => Pairing::Rendezvous,
            _ => Pairing::DialFor,
        }
    }
}
