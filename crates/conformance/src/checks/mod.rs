//! What is checked, each in a thread and a runtime of its own.

mod bytes;
mod calls;
mod ends;

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use futures::FutureExt;

use super::{Check, Trial, rig::Broken};

/// How much real time a check has: this long takes none that does not spin, even on a busy machine.
const SPINS: Duration = Duration::from_secs(600);

/// Makes one check.
pub(super) fn run(check: Check, trial: &Arc<Trial>) -> Result<(), Broken> {
    let (result, outcome) = mpsc::channel();
    let trial = Arc::clone(trial);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        let made = match runtime {
            Ok(runtime) => runtime.block_on(guarded(check, &trial)),
            Err(error) => Err(format!("there is no runtime for it: {error}")),
        };
        let _ = result.send(made);
    });
    match outcome.recv_timeout(SPINS) {
        Ok(made) => made,
        Err(_) => Err("it spins, or blocks its thread".into()),
    }
}

async fn guarded(check: Check, trial: &Trial) -> Result<(), Broken> {
    let made = AssertUnwindSafe(make(check, trial)).catch_unwind().await;
    made.unwrap_or_else(|panic| Err(format!("it panicked: {}", words(&*panic))))
}

async fn make(check: Check, trial: &Trial) -> Result<(), Broken> {
    match check {
        Check::Segmentation => bytes::segmentation(trial).await,
        Check::VectoredWrites => bytes::vectored_writes(trial).await,
        Check::Flush => bytes::flush(trial).await,
        Check::SlowReader => bytes::slow_reader(trial).await,
        Check::BytesBehindHandshake => bytes::behind_handshake(trial).await,
        Check::HalfClose => ends::half_close(trial).await,
        Check::Resets => ends::resets(trial).await,
        Check::CutStreams => ends::cut_streams(trial).await,
        Check::Cancellation => calls::cancellation(trial).await,
        Check::Deadline => calls::deadline(trial).await,
        Check::Readiness => calls::readiness(trial).await,
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref().map(String::as_str))
        .unwrap_or("without a word")
}
