//! The end of a connector: the state that its tasks share.

use std::{
    error::Error as StdError,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use couplet_endpoint::{BoxIo, RelayName, Side};
use couplet_layers::{RefusalCause, Stats};
use couplet_pairing::{CloseReason, Session, WaitEvent, WaitSlot, WaitingCounts};
use futures::FutureExt;
use tokio::{
    sync::{broadcast, watch},
    task::{AbortHandle, JoinHandle},
};
use tokio_util::{future::FutureExt as _, sync::CancellationToken, task::TaskTracker};

use crate::{
    ConnectorError, RelayEvent,
    event::Refused,
    loop_switch::LoopSwitch,
    observers::Observers,
    settings::Settings,
    succession::{PairPlaces, WaitPlaces},
    timer_tick::TimerTick,
};

/// The most sessions that a slow reader of the session stream may be behind.
const SESSIONS: usize = 256;

/// The state that a connector's tasks and its handle share.
///
/// A connector ends by itself: the side loops end with their endpoints, the pairing with the sides, the
/// pair loop with the pairing, and the connector with its last task.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// Accept no connections but those in the system's queue.
    drain: LoopSwitch,
    /// Accept no connections, and drop those without a partner.
    stop: CancellationToken,
    /// The holder of the handle asked for the stop.
    asked: AtomicBool,
    tasks: TaskTracker,
    /// The loops, which the stop aborts.
    loops: Mutex<Vec<AbortHandle>>,
    stats: Stats,
    timer_tick: TimerTick,
    /// Set once no session may begin or go on.
    closing: OnceLock<CloseReason>,
    failure: OnceLock<ConnectorError>,
    /// Why the first refused pair was refused: a failure where only one pair was expected.
    refusal: OnceLock<ConnectorError>,
    joined: AtomicBool,
    /// The reason of the last session's end.
    last_end: Mutex<Option<CloseReason>>,
    sessions: OnceLock<broadcast::Sender<Session>>,
    /// The number of live sessions, for `close_when_idle` alone.
    live: Option<watch::Sender<usize>>,
    observers: Arc<Observers>,
    /// Take no connection until it is over.
    pause: LoopSwitch,
    /// Another connector has taken the clients over.
    retired: AtomicBool,
    /// Connections that wait in another connector come here.
    takes_waiting: bool,
    places: OnceLock<WaitPlaces>,
    pair_places: Option<PairPlaces>,
    /// Of all tasks.
    name: RelayName,
}

// ===== impl Lifecycle =====

impl Lifecycle {
    pub(crate) fn new(settings: &Settings) -> Self {
        let before = settings.before.as_ref();
        if let Some(before) = before {
            before.stats.begin_generation();
        }
        Self {
            drain: LoopSwitch::default(),
            stop: CancellationToken::new(),
            asked: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            loops: Mutex::default(),
            stats: before.map_or_else(Stats::new, |before| before.stats.clone()),
            timer_tick: TimerTick::default(),
            closing: OnceLock::new(),
            failure: OnceLock::new(),
            refusal: OnceLock::new(),
            joined: AtomicBool::new(false),
            last_end: Mutex::new(None),
            sessions: OnceLock::new(),
            live: settings.close_when_idle.map(|_| watch::Sender::new(0)),
            observers: Arc::clone(before.map_or(&settings.observers, |before| &before.observers)),
            pause: LoopSwitch::default(),
            retired: AtomicBool::new(false),
            takes_waiting: before.is_some() && !settings.lets_waiting_go,
            places: OnceLock::new(),
            pair_places: settings
                .max_pairs
                .map(|pairs| PairPlaces::new(pairs, before)),
            name: RelayName::current(),
        }
    }

    /// Connections wait in these places.
    pub(crate) fn wait_at(&self, is_keyed: bool, slots: Vec<WaitSlot<BoxIo>>) {
        let places = WaitPlaces::new(is_keyed, slots, self.takes_waiting);
        let _ = self.places.set(places);
    }

    /// The places of live pairs, if their number has a bound.
    pub(crate) fn pair_places(&self) -> Option<&PairPlaces> {
        self.pair_places.as_ref()
    }

    pub(crate) fn places(&self) -> Option<&WaitPlaces> {
        self.places.get()
    }

    /// Leaves the clients to another connector, and those that wait for a partner.
    pub(crate) fn retire(&self, places: Option<&WaitPlaces>) {
        self.retired.store(true, Ordering::SeqCst);
        // Before the drain, at whose end nothing waits any more.
        if let (Some(from), Some(to)) = (self.places.get(), places) {
            from.give_to(to);
        }
        self.ask_to_drain();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    pub(crate) fn pause(&self) -> &LoopSwitch {
        &self.pause
    }

    pub(crate) fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    /// Counts those that wait, and tells the observers of those that the pairing refuses.
    pub(crate) fn watch(&self, waiting: WaitingCounts) {
        let observers = Arc::clone(&self.observers);
        waiting.observe(move |info, event| {
            let refused = |cause| {
                RelayEvent::Refused(Refused {
                    side: info.side.unwrap_or(Side::A),
                    conn: info.id,
                    peer: info.peer,
                    cause,
                    error: None,
                })
            };
            match event {
                WaitEvent::Waits => observers.tell(&RelayEvent::Waits(info)),
                WaitEvent::Leaves => observers.tell(&RelayEvent::Leaves(info)),
                WaitEvent::Refused(refusal) => observers.tell(&refused(refusal.into())),
                WaitEvent::Gone => observers.tell(&refused(RefusalCause::Gone)),
                _ => {}
            }
        });
        self.stats.watch_also(waiting);
    }

    /// Counts a connection that is not joined, and tells the observers. Beside each call is the log's.
    pub(crate) fn refused(&self, refused: Refused<'_>) {
        self.stats.refuse(refused.side, refused.cause);
        self.observers.tell(&RelayEvent::Refused(refused));
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn timer_tick(&self) -> &TimerTick {
        &self.timer_tick
    }

    /// Spawns a loop, which ends when no new connections are wanted. It is polled with each
    /// connection, so that it does not ask for the stop: it is aborted.
    pub(crate) fn spawn_loop(&self, future: impl Future<Output = ()> + Send + 'static) {
        let spawned = self.spawned(future).abort_handle();
        self.loops().push(spawned);
        // It may have been stopped before this one was among them.
        if self.stop.is_cancelled() {
            self.abort_loops();
        }
    }

    fn abort_loops(&self) {
        for handle in self.loops().drain(..) {
            handle.abort();
        }
    }

    fn loops(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns a task that ends at the stop.
    pub(crate) fn spawn_until_stopped(&self, future: impl Future + Send + 'static) {
        let stop = self.stop.clone();
        let until_stopped = future.with_cancellation_token_owned(stop);
        self.spawned(until_stopped.map(drop));
    }

    /// Spawns a task that ends by itself, or when its session is closed.
    pub(crate) fn spawn(&self, future: impl Future + Send + 'static) {
        self.spawned(future.map(drop));
    }

    /// With the name of the relay. Without one, a task is no larger than its future.
    fn spawned(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        match self.name.as_str() {
            None => self.tasks.spawn(future),
            Some(_) => self.tasks.spawn(self.name.clone().scope(future).boxed()),
        }
    }

    /// All loops have been spawned: from now on the connector is done when no task is left.
    pub(crate) fn all_spawned(&self) {
        self.tasks.close();
    }

    // --- ending ---

    /// No more pairs will come: drops the connections without a partner.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.abort_loops();
    }

    /// Ends the sides' loops, by the handle's `shutdown`: accepted connections go on.
    pub(crate) fn ask_to_drain(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.drain.set(true);
    }

    pub(crate) fn drain(&self) -> &LoopSwitch {
        &self.drain
    }

    pub(crate) fn fail(&self, error: ConnectorError) {
        // A failure because of the stop is none.
        if !self.stop.is_cancelled() {
            let _ = self.failure.set(error);
            self.stop();
        }
    }

    /// Ends all pairs and connections, for this reason.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.asked.store(true, Ordering::Relaxed);
        self.end(reason);
    }

    fn end(&self, reason: CloseReason) {
        // First the mark, then the list: a session that begins meanwhile sees the mark, or is in the
        // list.
        let _ = self.closing.set(reason);
        self.stop();
        for session in self.stats.sessions() {
            session.close(reason);
        }
    }

    /// Closes the connector once no pair has been live for this time.
    pub(crate) async fn close_when_idle(self: Arc<Self>, idle: Duration) {
        let Some(mut live) = self.live.as_ref().map(watch::Sender::subscribe) else {
            return;
        };
        loop {
            if live.wait_for(|live| *live == 0).await.is_err() {
                return;
            }
            let next = tokio::time::timeout(idle, live.wait_for(|live| *live > 0)).await;
            if next.is_err() {
                if self.is_retired() {
                    return self.stop();
                }
                tracing::info!(idle = idle.as_secs_f64(), "no pair is live: closing");
                return self.end(CloseReason::Closed);
            }
        }
    }

    // --- sessions ---

    /// A session begins; the statistics list it already.
    pub(crate) fn begins(&self, session: &Session) {
        if let Some(live) = &self.live {
            live.send_modify(|live| *live += 1);
        }
        if let Some(reason) = self.closing.get() {
            session.close(*reason);
        }
    }

    /// A session's bytes begin to move.
    pub(crate) fn joined(&self, session: &Session) {
        self.joined.store(true, Ordering::Relaxed);
        if let Some(sessions) = self.sessions.get() {
            // Fails only without a reader.
            let _ = sessions.send(session.clone());
        }
    }

    /// A step of the pair stack failed before the session's bytes could move.
    pub(crate) fn pair_refused(&self, source: Arc<dyn StdError + Send + Sync>) {
        let _ = self.refusal.set(ConnectorError::Pair { source });
    }

    /// A session ends, with its reason if it was joined.
    pub(crate) fn ended(&self, joined: Option<CloseReason>) {
        if joined.is_some() {
            *self.last_end.lock().unwrap_or_else(PoisonError::into_inner) = joined;
        }
        if let Some(live) = &self.live {
            live.send_modify(|live| *live -= 1);
        }
    }

    pub(crate) fn sessions(&self) -> broadcast::Receiver<Session> {
        self.sessions
            .get_or_init(|| broadcast::Sender::new(SESSIONS))
            .subscribe()
    }

    // --- the end ---

    pub(crate) fn last_end(&self) -> Option<CloseReason> {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.tasks.is_closed() && self.tasks.is_empty()
    }

    pub(crate) async fn done(&self) {
        self.tasks.wait().await;
    }

    /// The result of the connector, of which one pair was expected or any number.
    pub(crate) fn result(&self, one_expected: bool) -> Result<(), ConnectorError> {
        match self.failure.get() {
            Some(failure) => Err(failure.clone()),
            None if one_expected
                && !self.joined.load(Ordering::Relaxed)
                && !self.asked.load(Ordering::Relaxed) =>
            {
                let refusal = self.refusal.get();
                Err(refusal.cloned().unwrap_or(ConnectorError::NoPair))
            }
            None => Ok(()),
        }
    }
}
