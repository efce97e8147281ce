use std::{
    fmt,
    sync::{Arc, Weak, atomic::AtomicU64},
};

use couplet_connector::{
    Handle, Side,
    endpoint::{Info, PoolStatus, PoolWatch, TargetStatus, TargetWatch},
    mode::Pairing,
};

use crate::{
    Step,
    journal::{Journal, Waiting},
    rates::Rates,
};

/// A relay of an [`Admin`](crate::Admin): its name, its handle, and a description of its stacks.
pub struct Relay {
    name: String,
    handle: Handle,
    pub(crate) sides: [Vec<Step>; 2],
    pub(crate) ends: [Option<String>; 2],
    pub(crate) pair: Vec<Step>,
    pub(crate) moves: [Option<String>; 2],
    targets: [Option<TargetWatch>; 2],
    pools: [Option<PoolWatch>; 2],
    carriers: [Option<Carriers>; 2],
    pub(crate) rates: Rates,
    pub(crate) waiting: Arc<Waiting>,
    /// How many of its pairs are captured over the endpoint.
    pub(crate) captures: Arc<AtomicU64>,
    pub(crate) meeting: Option<Meeting>,
    pub(crate) faults: Option<Faults>,
}

/// The faults of a relay, which can be switched off and on; given by the program.
pub struct Faults {
    /// Whether the faults are on.
    pub are_on: Box<dyn Fn() -> bool + Send + Sync>,
    /// Switches the faults.
    pub set: Box<dyn Fn(bool) + Send + Sync>,
}

/// The carriers of a side, as a program tells it: see `MuxWatch` of the crate `couplet-protocols`.
pub struct Carriers {
    /// How they do.
    pub status: Box<dyn Fn() -> CarrierStatus + Send + Sync>,
}

/// How the carriers of a side do.
#[derive(Clone, Copy, Debug, Default)]
pub struct CarrierStatus {
    /// Carriers that are there.
    pub carriers: u64,
    /// Carriers that were ever there.
    pub total_carriers: u64,
    /// Connections that are carried.
    pub streams: u64,
    /// Connections that were ever carried.
    pub total_streams: u64,
    /// Carriers that could not be dialled, or were refused.
    pub refused: u64,
    /// Carriers that were lost.
    pub failed: u64,
    /// Carriers that were given up, as their peers were silent.
    pub silent: u64,
}

/// The state of a node whose clients are joined with those of other nodes; given by the program. See the crate
/// `couplet-meeting`.
pub struct Meeting {
    /// Whether the match-maker answers. If not, the relay is ready, but degraded.
    pub is_connected: Box<dyn Fn() -> bool + Send + Sync>,
    /// The number of clients that are offered to other nodes.
    pub offered: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The counts of events, by name.
    pub events: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
}

// ===== impl Relay =====

impl Relay {
    /// The longest name.
    const MAX_NAME: usize = 41;

    /// A relay that has been started.
    ///
    /// The name is a label, a part of a path and a heading: a lower-case letter, then lower-case letters,
    /// digits and hyphens, at most 41.
    ///
    /// # Panics
    ///
    /// If `name` is something else; [`is_name`](Self::is_name) tells before.
    pub fn new(name: &str, handle: &Handle) -> Self {
        assert!(
            Self::is_name(name),
            "`{name}` is no name of a relay: a lower-case letter, then letters, digits and hyphens"
        );
        Self {
            name: name.to_owned(),
            handle: handle.clone(),
            sides: [Vec::new(), Vec::new()],
            ends: [None, None],
            pair: Vec::new(),
            moves: [None, None],
            targets: [None, None],
            pools: [None, None],
            carriers: [None, None],
            rates: Rates::default(),
            waiting: Arc::default(),
            captures: Arc::default(),
            meeting: None,
            faults: None,
        }
    }

    /// Whether this is a valid name of a relay.
    pub fn is_name(name: &str) -> bool {
        name.len() <= Self::MAX_NAME
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    }

    /// Describes a side: the address that it listens on or dials, and the layers of its stack, top to bottom.
    #[must_use]
    pub fn side(mut self, side: Side, end: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        self.ends[side as usize] = Some(end.to_owned());
        self.sides[side as usize] = steps.into_iter().collect();
        self
    }

    /// Describes the pair stack: its layers, top to bottom.
    #[must_use]
    pub fn pair(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.pair = steps.into_iter().collect();
        self
    }

    /// Says how the bytes from this side are moved, and why: `by copy, because of tls`.
    #[must_use]
    pub fn moves(mut self, from: Side, how: &str) -> Self {
        self.moves[from as usize] = Some(how.to_owned());
        self
    }

    /// Adds the targets of a side that dials one of several.
    #[must_use]
    pub fn targets(mut self, side: Side, targets: TargetWatch) -> Self {
        self.targets[side as usize] = Some(targets);
        self
    }

    /// The state of each target of a side.
    pub(crate) fn target_status(&self, side: Side) -> impl Iterator<Item = TargetStatus> {
        let watch = self.targets[side as usize].iter();
        watch.flat_map(TargetWatch::status)
    }

    /// Whether a side has targets of which none is up, as far as is known: as its checks and its dials found.
    pub(crate) fn all_targets_down(&self, side: Side) -> bool {
        let mut targets = self.target_status(side).peekable();
        targets.peek().is_some() && !targets.any(|target| target.is_up)
    }

    /// Adds the pool of a side whose connections are dialled ahead.
    #[must_use]
    pub fn pool(mut self, side: Side, pool: PoolWatch) -> Self {
        self.pools[side as usize] = Some(pool);
        self
    }

    pub(crate) fn pool_status(&self, side: Side) -> Option<PoolStatus> {
        self.pools[side as usize].as_ref().map(PoolWatch::status)
    }

    /// Tells of the carriers of a side whose connections are carried, many over one.
    #[must_use]
    pub fn carriers(mut self, side: Side, carriers: Carriers) -> Self {
        self.carriers[side as usize] = Some(carriers);
        self
    }

    /// How the carriers of a side do, if it has some.
    pub(crate) fn carrier_status(&self, side: Side) -> Option<CarrierStatus> {
        let carriers = self.carriers[side as usize].as_ref()?;
        Some((carriers.status)())
    }

    /// Adds the state of the node, for a relay whose clients are joined with those of other nodes.
    #[must_use]
    pub fn meeting(mut self, meeting: Meeting) -> Self {
        self.meeting = Some(meeting);
        self
    }

    /// Adds faults that can be switched.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// The relay's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The relay itself.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where a side listens, or what it dials, as far as is known.
    pub(crate) fn end(&self, side: Side) -> String {
        if let Some(end) = &self.ends[side as usize] {
            return end.clone();
        }
        match self.handle.local_addr(side) {
            Ok(addr) => format!("listen:{addr}"),
            Err(_) if side == Side::B && self.handle.pairing() == Pairing::Keyed => {
                "the same".to_owned()
            }
            Err(_) => "dial".to_owned(),
        }
    }

    /// Is the side dialled for each connection of the other?
    pub(crate) fn dials(&self, side: Side) -> bool {
        self.handle.pairing() == Pairing::DialFor(side)
    }

    pub(crate) fn pairing(&self) -> &'static str {
        match self.handle.pairing() {
            Pairing::Rendezvous => "rendezvous",
            Pairing::Keyed => "by-key",
            Pairing::DialFor(Side::A) => "dial-for B",
            _ => "dial-for A",
        }
    }

    /// Why the relay takes no connections, if it does not.
    pub(crate) fn not_ready(&self) -> Option<&'static str> {
        if self.handle.is_done() {
            Some("ended")
        } else if self.handle.is_draining() {
            Some("draining")
        } else if self.handle.is_paused() {
            Some("paused")
        } else {
            None
        }
    }

    /// What is missing of a relay that is ready.
    pub(crate) fn degraded(&self) -> Option<&'static str> {
        let meeting = self.meeting.as_ref()?;
        (!(meeting.is_connected)()).then_some("match-maker away")
    }

    /// Takes down what happens from now on. The relay's observers outlive what is shown of it.
    pub(crate) fn observe(&self, journal: &Arc<Journal>) {
        use couplet_connector::RelayEvent;

        let (name, journal): (Arc<str>, _) = (self.name.as_str().into(), Arc::downgrade(journal));
        let waiting = Arc::downgrade(&self.waiting);
        let of = |waiting: &Weak<Waiting>, does: &dyn Fn(&Waiting)| {
            if let Some(waiting) = waiting.upgrade() {
                does(&waiting);
            }
        };
        self.handle.observe(move |event| match event {
            RelayEvent::Waits(info) => of(&waiting, &|waiting| waiting.add(info)),
            RelayEvent::Leaves(info) => of(&waiting, &|waiting| waiting.remove(info)),
            event => {
                if let Some(journal) = journal.upgrade() {
                    journal.add(&name, event);
                }
            }
        });
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// The peer, as a list shows it: its address, or `?`.
pub(crate) fn peer(info: &Info) -> String {
    info.peer_name().to_string()
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carriers").finish_non_exhaustive()
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_a_label_and_a_path() {
        for good in ["relay", "ssh-2", "a", &"a".repeat(41)] {
            assert!(Relay::is_name(good), "{good}");
        }
        for bad in [
            "",
            "2ssh",
            "-a",
            "Ssh",
            "a/b",
            "a b",
            "ä",
            "a\n",
            &"a".repeat(42),
        ] {
            assert!(!Relay::is_name(bad), "{bad}");
        }
    }
}
