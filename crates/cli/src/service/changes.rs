//! The result of a reload, and the requests for one.

use tokio::sync::oneshot;

use crate::mistake::Mistakes;

/// What a reload has done, by the names of relays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) generation: u64,
    pub(crate) changed: Vec<String>,
    pub(crate) added: Vec<String>,
    pub(crate) gone: Vec<String>,
    pub(crate) same: Vec<String>,
}

/// What asks for a reload over the admin endpoint, and waits for its outcome.
pub(crate) type Request = oneshot::Sender<Result<Changes, Mistakes>>;
