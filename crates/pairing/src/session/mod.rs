//! [`Session`]: the handle that travels with a pair.

mod budget;
mod close_switch;
mod meter;
mod moved;
mod source;
mod tap;

pub use self::{
    budget::{Budget, Budgets, Scope},
    meter::Meter,
    moved::Moved,
    tap::{Tap, Tapped},
};

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{CloseReason, ConnEvent, Info, Side};
use tokio::{sync::Notify, time::Instant};

use self::close_switch::CloseSwitch;

/// The handle of a pair: both connections' infos, the meter of the bytes, and the switch that ends the
/// pair.
///
/// Cheap to clone, and it outlives the pair. Holding one keeps neither connection open, wraps no
/// io and costs the relay nothing.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

/// The [`Session`] as the [`Pair`](crate::Pair) holds it: dropping it ends the session.
#[derive(Debug)]
pub struct OwnedSession {
    session: Session,
    /// Boxed, because most pairs have none.
    budgets: Option<Box<Budgets>>,
}

/// A session's number, unique within the process: `7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

struct Shared {
    id: SessionId,
    meter: Meter,
    close: CloseSwitch<CloseReason>,
    end: OnceLock<End>,
    ended: Notify,
}

#[derive(Clone, Copy)]
struct End {
    reason: CloseReason,
    /// Microseconds since the start.
    after: u64,
}

// ===== impl Session =====

impl Session {
    /// The session's number.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The info of the connection on this side.
    pub fn info(&self, side: Side) -> &Info {
        self.0.meter.info(side)
    }

    /// The counters.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// The time of the join.
    pub fn since(&self) -> Instant {
        self.0.meter.start()
    }

    /// The session's duration until now or until its end.
    pub fn duration(&self) -> Duration {
        match self.0.end.get() {
            Some(end) => Duration::from_micros(end.after),
            None => self.since().elapsed(),
        }
    }

    /// Ends the session with this reason; the first reason counts. Returns at once; the relay ends both
    /// connections and still returns its summary.
    pub fn close(&self, reason: CloseReason) {
        self.0.close.close(reason);
    }

    /// The reason that was given to [`close`](Self::close).
    pub fn close_requested(&self) -> Option<CloseReason> {
        self.0.close.reason()
    }

    /// Ready once [`close`](Self::close) was called. For the task that serves the pair: it alone
    /// is woken.
    pub fn poll_close_requested(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.0.close.poll(cx)
    }

    /// Whether the relay has begun to move bytes. Before that, a step of the pair stack may be at work.
    pub fn is_relaying(&self) -> bool {
        self.0.meter.relaying.load(Ordering::Relaxed)
    }

    /// Why the session ended, once it has.
    pub fn end_reason(&self) -> Option<CloseReason> {
        self.0.end.get().map(|end| end.reason)
    }

    /// Waits for the session's end, and returns the reason. Cancel-safe.
    pub async fn ended(&self) -> CloseReason {
        loop {
            // Created before the check, so that no notification is lost.
            let ended = self.0.ended.notified();
            if let Some(reason) = self.end_reason() {
                return reason;
            }
            ended.await;
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("a", self.info(Side::A))
            .field("b", self.info(Side::B))
            .field("meter", &self.0.meter)
            .field("end", &self.end_reason())
            .finish()
    }
}

// ===== impl OwnedSession =====

impl OwnedSession {
    pub(crate) fn new(a: Info, b: Info) -> Self {
        a.tell(ConnEvent::Joined(b.id));
        b.tell(ConnEvent::Joined(a.id));
        let session = Session(Arc::new(Shared {
            id: SessionId::next(),
            meter: Meter::new([a, b]),
            close: CloseSwitch::new(),
            end: OnceLock::new(),
            ended: Notify::new(),
        }));
        Self {
            session,
            budgets: None,
        }
    }

    /// A handle for an observer.
    pub fn handle(&self) -> Session {
        self.session.clone()
    }

    /// Adds a budget: from when the relay gets the pair, bytes move only within all budgets.
    pub fn limit(&mut self, budget: impl Budget) {
        let budgets = self.budgets.get_or_insert_with(|| Box::new(Budgets::new()));
        budgets.add(budget);
    }

    /// Counts the session's bytes in `moved`, too, from now on. The first call counts.
    pub fn count_in(&self, moved: Moved) {
        self.session.0.meter.count_in(moved);
    }

    /// The counters and the budgets. For the relay.
    pub fn meter_and_budgets(&mut self) -> (&Meter, Option<&mut Budgets>) {
        (&self.session.0.meter, self.budgets.as_deref_mut())
    }

    /// Marks the begin of the relay. For the relay.
    pub fn begin(&self) {
        self.session.0.meter.relaying.store(true, Ordering::Relaxed);
    }

    /// Marks the end of the session, with its reason. For the relay; the first call counts.
    pub fn end(&self, reason: CloseReason) {
        let after = self.since().elapsed().as_micros();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        if self.session.0.end.set(End { reason, after }).is_ok() {
            for from in [Side::A, Side::B] {
                self.meter().end_stall(from);
            }
            self.end_tap_at_end();
            self.meter().tell(ConnEvent::Ended(reason));
            self.session.0.ended.notify_waiters();
        }
    }
}

impl Deref for OwnedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for OwnedSession {
    fn drop(&mut self) {
        if self.end_reason().is_none() {
            let unsaid = match self.is_relaying() {
                true => CloseReason::Dropped,
                false => CloseReason::Refused,
            };
            self.end(self.close_requested().unwrap_or(unsaid));
        }
    }
}

// ===== impl SessionId =====

impl SessionId {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl From<u64> for SessionId {
    /// The id with this number, as [`get`](Self::get) returned it, whether or not a session has it.
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::Origin;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    use super::*;

    fn session() -> OwnedSession {
        OwnedSession::new(Info::new(Origin::Accepted), Info::new(Origin::Dialled))
    }

    #[tokio::test]
    async fn the_first_reason_to_close_wins_and_wakes_the_server() {
        let session = session();
        let mut serving = task::spawn(std::future::poll_fn(|cx| session.poll_close_requested(cx)));
        assert_pending!(serving.poll());
        session.handle().close(CloseReason::IdleTimeout);
        session.handle().close(CloseReason::Closed);
        assert!(serving.is_woken());
        assert_ready_eq!(serving.poll(), CloseReason::IdleTimeout);
    }

    #[tokio::test]
    async fn every_waiter_hears_of_the_end() {
        let session = session();
        let watcher = session.handle();
        let mut waiting = task::spawn(watcher.ended());
        assert_pending!(waiting.poll());
        session.end(CloseReason::Finished(Side::A));
        session.end(CloseReason::Closed);
        assert_ready_eq!(waiting.poll(), CloseReason::Finished(Side::A));
        drop(session);
        assert_eq!(watcher.ended().await, CloseReason::Finished(Side::A));
    }

    #[tokio::test]
    async fn a_session_that_is_dropped_has_ended() {
        let refused = session();
        let watcher = refused.handle();
        drop(refused);
        assert_eq!(watcher.end_reason(), Some(CloseReason::Refused));

        let dropped = session();
        let watcher = dropped.handle();
        dropped.begin();
        drop(dropped);
        assert_eq!(watcher.end_reason(), Some(CloseReason::Dropped));

        let closed = session();
        let watcher = closed.handle();
        watcher.close(CloseReason::Shutdown);
        drop(closed);
        assert_eq!(watcher.end_reason(), Some(CloseReason::Shutdown));
    }

    #[tokio::test(start_paused = true)]
    async fn the_meter_knows_when_bytes_last_moved() {
        let session = session();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(session.meter().last_progress(), session.since());
        session.meter().add(Side::A, 5);
        session.meter().add(Side::A, 6);
        session.meter().add(Side::B, 1);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(session.meter().bytes(Side::A), 11);
        assert_eq!(session.meter().bytes(Side::B), 1);
        assert_eq!(
            session.meter().last_progress().elapsed(),
            Duration::from_secs(4)
        );
        assert_eq!(session.duration(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_counts_when_it_is_over() {
        let moved = Moved::new();
        let session = session();
        session.count_in(moved.clone());
        let meter = session.meter();
        meter.add(Side::A, 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        meter.begin_stall(Side::A, 100);
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        meter.begin_stall(Side::A, 90);
        assert_eq!((moved.held(Side::A), moved.held(Side::B)), (128, 0));
        meter.add_spliced(Side::B, 7);
        assert_eq!(meter.stalled_since(Side::A), Some(begun));
        assert_eq!(moved.stalled(Side::A), Duration::ZERO);
        meter.add(Side::A, 1);
        assert_eq!(meter.stalled_since(Side::A), None);
        assert_eq!(moved.stalled(Side::A), Duration::from_secs(2));
        assert_eq!(moved.held(Side::A), 0);
        assert_eq!((moved.bytes(Side::A), moved.bytes(Side::B)), (6, 7));
        assert_eq!((moved.spliced(Side::A), moved.spliced(Side::B)), (0, 7));
        assert!(meter.is_spliced(Side::B) && !meter.is_spliced(Side::A));
        // One that lasts to the end counts then.
        meter.begin_stall(Side::B, 50);
        assert_eq!(moved.held(Side::B), 64);
        tokio::time::advance(Duration::from_secs(3)).await;
        session.end(CloseReason::Closed);
        assert_eq!(moved.stalled(Side::B), Duration::from_secs(3));
        assert_eq!(moved.held(Side::B), 0);
    }

    /// Every pair has one, in two halves. The first fits into mimalloc's places of 224 bytes; each, with 16 for
    /// the counts of the `Arc`, into the holes of 232 that glibc's malloc leaves.
    #[test]
    fn a_session_is_small() {
        assert!(size_of::<[Info; 2]>() <= 224);
        assert!(size_of::<Shared>() <= 216);
    }
}
