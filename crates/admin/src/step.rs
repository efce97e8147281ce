use std::{fmt, sync::Arc, time::SystemTime};

use couplet_connector::layers::{HandshakeTimes, admission::limits::LimitCounts};

/// A layer of a stack, as the page shows it and the metrics count it.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) times: Option<HandshakeTimes>,
    pub(crate) queue: Option<LimitCounts>,
    certificates: Option<Certificates>,
}

#[derive(Clone)]
struct Certificates(Arc<dyn Fn() -> Vec<(String, SystemTime)> + Send + Sync>);

// ===== impl Step =====

impl Step {
    /// A layer by its name, and its settings in a few words, without secrets.
    pub fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            times: None,
            queue: None,
            certificates: None,
        }
    }

    /// The durations of the layer's handshakes, where it counts them.
    #[must_use]
    pub fn times(mut self, times: Option<HandshakeTimes>) -> Self {
        self.times = times;
        self
    }

    /// The counts of a limit with a queue.
    #[must_use]
    pub fn queue(mut self, queue: Option<LimitCounts>) -> Self {
        self.queue = queue;
        self
    }

    /// The certificates that the layer shows to peers: their names in the configuration, each once, and when they
    /// expire.
    #[must_use]
    pub fn certificates(
        mut self,
        certificates: impl Fn() -> Vec<(String, SystemTime)> + Send + Sync + 'static,
    ) -> Self {
        self.certificates = Some(Certificates(Arc::new(certificates)));
        self
    }

    pub(crate) fn expiries(&self) -> Vec<(String, SystemTime)> {
        let certificates = self.certificates.as_ref();
        certificates.map_or_else(Vec::new, |Certificates(ask)| ask())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
