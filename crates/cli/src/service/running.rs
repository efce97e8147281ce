//! A relay of a file: before it starts, at work, and while its pairs end.

use couplet_connector::{
    Handle,
    endpoint::{Address, LocalAddr, Side, handoff::HandOver},
    pairing::{CloseReason, Session, SessionId},
};

use crate::{
    config::{RelayConfig, RelayWords},
    hand_over,
    incoming::{Incoming, Kept},
    plan::Plan,
    run::Ends,
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
    /// Its last session, and those of relays before it have smaller numbers.
    pub(super) last: Option<SessionId>,
    pub(super) name: String,
    pub(super) plan: Plan,
    pub(super) handle: Handle,
    pub(super) has_ended: bool,
}

/// Which of the listening sockets of a relay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Side(Side),
    /// Where other nodes connect.
    Cluster,
}

/// The listening sockets of a relay, which outlive it.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) kept: Vec<(Place, Address, Kept)>,
    pub(super) addrs: Vec<LocalAddr>,
}

/// A relay that is ready to be started.
pub(super) struct Prepared {
    pub(super) config: RelayConfig,
    pub(super) ends: Ends,
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
    /// Keeps what this one listens on.
    pub(super) fn keep(
        &mut self,
        of: Place,
        address: &Address,
        incoming: &Incoming,
    ) -> std::io::Result<()> {
        let kept = incoming.kept()?;
        self.kept
            .extend(kept.map(|kept| (of, address.clone(), kept)));
        self.addrs.extend(incoming.addrs());
        Ok(())
    }

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
            last: self.handle.sessions().last().map(Session::id),
            name: name.to_owned(),
            plan: self.plan,
            handle: self.handle,
            has_ended: self.has_ended,
        }
    }
}

// ===== impl Ending =====

impl Ending {
    /// Ends the pairs of this relay and of those that it took over from. `handle` is that of the relay in its
    /// place, which has all pairs.
    pub(super) fn cut(handle: &Handle, last: SessionId) {
        let sessions = handle.sessions();
        let old: Vec<_> = sessions
            .iter()
            .take_while(|session| session.id() <= last)
            .collect();
        if old.is_empty() {
            return;
        }
        tracing::info!(live = old.len(), "pairs from before a reload end");
        for session in old {
            session.close(CloseReason::Closed);
        }
    }
}
