use std::{sync::Arc, time::Duration};

use couplet_pairing::Policy;
use couplet_relay::Relay;

use crate::{observers::Observers, succession::Before};

/// The settings of a connector, besides its endpoints and layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) relay: Relay,
    pub(crate) once: bool,
    /// Both sides are dialled again when their pair has ended.
    pub(crate) reconnects: bool,
    pub(crate) max_pairs: Option<usize>,
    pub(crate) close_when_idle: Option<Duration>,
    /// Both sides are dialled: there is one pair at a time.
    pub(crate) dials_only: bool,
    pub(crate) observers: Arc<Observers>,
    /// Of the connector whose clients this one takes over.
    pub(crate) before: Option<Before>,
    /// Those that wait there are closed.
    pub(crate) lets_waiting_go: bool,
}

// ===== impl Settings =====

impl Settings {
    /// Whether the connector fails if the pair can't be made.
    pub(crate) fn expects_one_pair(&self) -> bool {
        self.once || (self.dials_only && !self.reconnects)
    }
}
