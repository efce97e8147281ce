//! A relay of a file: before it starts, at work, and while its pairs end.

use couplet_connector::{
    Handle,
    endpoint::{Address, LocalAddr, Side},
};

use crate::{
    config::{RelayConfig, RelayWords},
    incoming::Kept,
    plan::Plan,
    side::Endpoint,
};

/// A relay at work.
pub(super) struct Running {
    pub(super) number: u64,
    pub(super) words: RelayWords,
    pub(super) plan: Plan,
    pub(super) handle: Handle,
    pub(super) sockets: Sockets,
    pub(super) has_ended: bool,
}

/// A relay whose pairs end.
pub(super) struct Ending {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) plan: Plan,
    pub(super) handle: Handle,
    pub(super) has_ended: bool,
}

/// The listening sockets of a relay, which outlive it.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) kept: Vec<(Side, Address, Kept)>,
    pub(super) addrs: Vec<LocalAddr>,
}

/// A relay that is ready to be started.
pub(super) struct Prepared {
    pub(super) config: RelayConfig,
    pub(super) ends: Vec<Endpoint>,
    pub(super) sockets: Sockets,
}

// ===== impl Running =====

impl Running {
    /// The same relay, whose pairs end.
    pub(super) fn into_ending(self, name: &str) -> Ending {
        Ending {
            number: self.number,
            name: name.to_owned(),
            plan: self.plan,
            handle: self.handle,
            has_ended: self.has_ended,
        }
    }
}
