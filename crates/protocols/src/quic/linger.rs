//! Streams whose last bytes are on their way after their drop: the kernel does that for TCP.

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use quinn::SendStream;
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::CUT;

/// How long a stream's last bytes are sent to a peer that does not take them.
const LINGER: Duration = Duration::from_secs(60);

/// A carrier without a stream says goodbye within this time.
const FAREWELL: Duration = Duration::from_millis(50);

/// All streams of the process that linger.
static LINGERING: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// What a stream holds for as long as its bytes are on their way.
#[derive(Debug)]
pub(super) struct Holds {
    pub(super) _of_carrier: TaskTrackerToken,
    pub(super) _slot: Option<OwnedSemaphorePermit>,
}

/// Sends what is left, then FIN, or, where the stream is not to be finished, a reset. The carrier is held until
/// the peer's system has all of it.
pub(super) fn linger(mut send: SendStream, rest: [Bytes; 2], finishes: bool, holds: Option<Holds>) {
    if !finishes {
        let _ = send.reset(CUT);
    }
    let is_idle = rest.iter().all(Bytes::is_empty);
    if is_idle {
        let _ = send.finish();
        // Ready, too, where the carrier has failed.
        if send.stopped().now_or_never().is_some() {
            return;
        }
    }
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let lingering = async move {
        let delivered = async {
            for bytes in rest.into_iter().filter(|bytes| !bytes.is_empty()) {
                send.write_chunk(bytes).await.ok()?;
            }
            let _ = send.finish();
            send.stopped().await.ok()
        };
        if timeout(LINGER, delivered).await.is_err() {
            let _ = send.reset(CUT);
        }
        drop(holds);
    };
    LINGERING.spawn_on(lingering, &runtime);
}

/// Waits until the last bytes of all streams of the process have been delivered, for `most` at most: for a
/// program that ends. What the kernel does for a TCP connection of a process that is gone, QUIC does within the
/// process.
///
/// Streams that are dropped meanwhile are not waited for.
pub async fn delivered(most: Duration) {
    LINGERING.close();
    let waited = timeout(most, LINGERING.wait()).await;
    LINGERING.reopen();
    if waited.is_ok() {
        tokio::time::sleep(FAREWELL.min(most)).await;
    }
}
