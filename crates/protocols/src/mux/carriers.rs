//! The carriers of a dial: which one opens the next stream, and when another is dialled.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use couplet_endpoint::{Backoff, Conn, Info, Origin};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{PATIENCE, carrier::Open, error::MuxDialError, io::MuxIo};

/// The carriers of a dial. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Carriers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    all: Vec<Carrier>,
    /// The dial of another, for all calls that wait.
    dialling: Option<(Dialling, AbortHandle)>,
    /// Dials, and carriers without a stream, that failed in a row.
    failures: u32,
    /// No carrier is dialled before this time.
    pause: Option<Instant>,
}

/// How the dial of a carrier ends.
pub(super) type Dialling = Shared<BoxFuture<'static, Result<(), MuxDialError>>>;

/// How streams are asked for.
#[derive(Clone)]
pub(super) struct Carrier {
    opens: mpsc::Sender<Open>,
    /// For streams.
    slots: Arc<Semaphore>,
    /// The carrier's own.
    info: Arc<Info>,
    known: Known,
}

/// A carrier as its driver knows it, without a claim to its streams.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// A stream was opened.
    was_used: Arc<AtomicBool>,
}

/// What is next for a call.
pub(super) enum Next {
    Open(Carrier, OwnedSemaphorePermit),
    Wait(Dialling),
    /// All carriers are, and there may be no other.
    Full,
}

// ===== impl Carriers =====

impl Carriers {
    /// The carrier with most room, or the dial of another, which begins after the pause that it is given.
    pub(super) fn next(
        &self,
        most: usize,
        dial: impl FnOnce(Duration) -> (Dialling, AbortHandle),
    ) -> Next {
        let mut state = self.state();
        state.all.retain(|carrier| !carrier.opens.is_closed());
        let all = state.all.iter();
        let roomy = all.max_by_key(|carrier| carrier.slots.available_permits());
        if let Some(carrier) = roomy
            && let Ok(slot) = Arc::clone(&carrier.slots).try_acquire_owned()
        {
            return Next::Open(carrier.clone(), slot);
        }
        if let Some((dialling, _)) = &state.dialling {
            return Next::Wait(dialling.clone());
        }
        if state.all.len() >= most {
            return Next::Full;
        }
        let pause = state
            .pause
            .map(|pause| pause.saturating_duration_since(Instant::now()));
        let (dialling, task) = dial(pause.unwrap_or_default());
        state.dialling = Some((dialling.clone(), task));
        Next::Wait(dialling)
    }

    /// The dial has ended.
    pub(super) fn dialled(&self, carrier: Option<Carrier>) {
        let mut state = self.state();
        state.dialling = None;
        match carrier {
            Some(carrier) => state.all.push(carrier),
            None => state.failed(),
        }
    }

    /// No more streams are opened of this carrier. Returns whether any were.
    pub(super) fn leave(&self, carrier: &Known) -> bool {
        let all = &mut self.state().all;
        let before = all.len();
        all.retain(|one| !Arc::ptr_eq(&one.known.was_used, &carrier.was_used));
        all.len() < before
    }

    /// The carrier has ended, or opens no stream.
    pub(super) fn lost(&self, carrier: &Known) {
        if self.leave(carrier) && !carrier.was_used.load(Ordering::Relaxed) {
            self.state().failed();
        }
    }

    pub(super) fn works(&self) {
        let mut state = self.state();
        (state.failures, state.pause) = (0, None);
    }

    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.all.clear();
        if let Some((_, task)) = state.dialling.take() {
            task.abort();
        }
    }

    // Nothing in here panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl State =====

impl State {
    fn failed(&mut self) {
        let pause = Backoff::new().after_dial(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.pause = Some(Instant::now() + pause);
    }
}

// ===== impl Carrier =====

impl Carrier {
    /// The carrier, and what its driver is asked.
    pub(super) fn new(streams: usize, info: Info) -> (Self, mpsc::Receiver<Open>) {
        let (opens, asked) = mpsc::channel(1);
        let carrier = Self {
            opens,
            slots: Arc::new(Semaphore::new(streams.min(Semaphore::MAX_PERMITS))),
            info: Arc::new(info),
            known: Known::default(),
        };
        (carrier, asked)
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// A stream, if the peer opens it, too.
    pub(super) async fn open(&self, slot: OwnedSemaphorePermit) -> Option<Conn<MuxIo>> {
        let opened = async {
            let (open, opened) = oneshot::channel();
            self.opens.send(open).await.ok()?;
            let (stream, alive) = opened.await.ok()?;
            let mut io = MuxIo::new(stream, alive, Some(slot));
            io.open().await.ok()?;
            Some(io)
        };
        let io = timeout(PATIENCE, opened).await.ok().flatten()?;
        self.known.was_used.store(true, Ordering::Relaxed);
        let info = self.info.carries(Origin::Dialled);
        Some(Conn { io, info })
    }
}

/// What ends with the sender, if it does not tell.
pub(super) fn told_by(told: oneshot::Receiver<Result<(), MuxDialError>>) -> Dialling {
    told.map(|told| told.unwrap_or(Err(MuxDialError::NotOpened)))
        .boxed()
        .shared()
}
