use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{Info, Io};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::Refusal;

/// How much is read of a peer that is told farewell, and thrown away.
const LINGER: u64 = 64 * 1024;

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
        info: &Info,
        refusal: Refusal,
        mut io: I,
    ) -> Option<impl Future<Output = ()> + use<I>> {
        let words = (self.words)(info, refusal)?;
        let within = self.within;
        let saying = async move {
            io.write_all(&words).await?;
            io.shutdown().await?;
            // What is closed with bytes unread is reset, and the reset overtakes the words.
            let mut rest = io.take(LINGER);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
            io::Result::Ok(())
        };
        // Whoever does not listen, or has gone, is not told.
        Some(async move {
            let _ = timeout(within, saying).await;
        })
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}
