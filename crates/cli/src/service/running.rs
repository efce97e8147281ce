//! A relay of a file: before it starts, at work, and while its pairs end.

use couplet_connector::{
    Handle,
    endpoint::{Address, LocalAddr, Side, handoff::HandOver},
};

use crate::{
    config::{RelayConfig, RelayWords},
    hand_over,
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

// ===== impl Prepared =====

impl Prepared {
    /// From now on routes lead to this relay, where it takes their connections.
    pub(super) fn take_routes(&self) {
        if let Some(from) = self.sockets.routes() {
            hand_over::add(&self.config.name, from);
        }
    }
}

// ===== impl Sockets =====

impl Sockets {
    /// What other relays hand connections over with.
    pub(super) fn routes(&self) -> Option<HandOver> {
        let mut kept = self.kept.iter();
        kept.find_map(|(.., kept)| match kept {
            Kept::Routes(listen) => Some(listen.from.clone()),
            _ => None,
        })
    }
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
