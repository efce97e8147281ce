use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Info, Io, io::last_words};

use crate::{Refusal, unjoined::Unjoined};

/// The last words for those who are refused.
#[derive(Clone)]
pub(super) struct Farewell {
    words: Arc<dyn Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync>,
    within: Duration,
}

// ===== impl Farewell =====

impl Farewell {
    pub(super) fn new(
        words: impl Fn(&Info, Refusal) -> Option<Bytes> + Send + Sync + 'static,
        within: Duration,
    ) -> Self {
        Self {
            words: Arc::new(words),
            within,
        }
    }

    /// Says what there is to say.
    pub(super) fn say<I: Io>(
        &self,
        conn: Unjoined<I>,
        refusal: Refusal,
    ) -> Option<impl Future<Output = ()> + use<I>> {
        let words = (self.words)(&conn.info, refusal)?;
        let io = conn.take().io;
        let within = self.within;
        Some(async move { last_words(io, &words, within).await })
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}
