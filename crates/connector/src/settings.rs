use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use couplet_pairing::{CloseReason, Policy, Session};
use couplet_relay::Relay;

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
    pub(crate) hooks: Hooks,
}

type Ended = dyn Fn(&Session, CloseReason, Option<&(dyn StdError + 'static)>) + Send + Sync;

/// The functions that are called for each session.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) joined: Option<Arc<dyn Fn(&Session) + Send + Sync>>,
    pub(crate) ended: Option<Arc<Ended>>,
}

// ===== impl Settings =====

impl Settings {
    /// Whether the connector fails if the pair can't be made.
    pub(crate) fn expects_one_pair(&self) -> bool {
        self.once || (self.dials_only && !self.reconnects)
    }
}

// ===== impl Hooks =====

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("joined", &self.joined.is_some())
            .field("ended", &self.ended.is_some())
            .finish()
    }
}
