//! The two directions of a pair, and how they end each other.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Io, Side};
use couplet_pairing::{CloseReason, OwnedSession, Pair, Tap};
use tokio::time::{Instant, Sleep};

use crate::{
    RelayError, Summary,
    ack_watch::AckWatch,
    direction::{Direction, Event, Outcome},
    relay::Limits,
};

/// How often a connection that will be reset is asked whether its last bytes have left.
const UNSENT_POLL: Duration = Duration::from_millis(20);

/// How often a side that has ended its stream is asked whether it is still there to hear the other.
const LISTENER_POLL: Duration = Duration::from_secs(60);

/// The future of a [`Relay`](crate::Relay): moves a pair's bytes until both directions are done
/// or the session is closed.
///
/// Dropping it ends both connections, see [`Relay`](crate::Relay) for how.
#[must_use = "futures do nothing unless polled"]
pub struct Relaying<A: Io, B: Io> {
    a: A,
    b: B,
    a_to_b: Direction,
    b_to_a: Direction,
    session: OwnedSession,
    limits: Arc<Limits>,
    ack_watch: Option<Box<AckWatch>>,
    /// What only a pair needs of which a direction has ended.
    ending: Option<Box<Ending>>,
}

struct Ending {
    /// When a direction first ceased to flow.
    since: Instant,
    /// The side that ended its stream first.
    first: Option<Side>,
    /// The side that closed while the other was still sending.
    closed_early: Option<Side>,
    /// The first failure, and the side it was on.
    failure: Option<(Side, io::Error)>,
    /// More came than ever may.
    exhausted: bool,
    /// Since when nothing is left to deliver but what the system holds.
    lingering: Option<Instant>,
    /// When the system last sent to a peer what it holds, as far as was asked.
    sent: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a pair that comes to its end waits for.
enum Wait {
    /// The surviving direction may still flow.
    Flow,
    /// What the system holds must leave before the reset.
    Unsent,
    /// The peer must close before we do, or it loses what we sent; or a carrier has yet to close in good
    /// order.
    Linger,
    /// Nothing.
    Over,
}

// ===== impl Relaying =====

impl<A: Io, B: Io> Relaying<A, B> {
    pub(crate) fn new(pair: Pair<A, B>, limits: Arc<Limits>) -> Self {
        pair.session.begin();
        Self {
            a: pair.a,
            b: pair.b,
            a_to_b: Direction::new(Side::A, limits.splice),
            b_to_a: Direction::new(Side::B, limits.splice),
            ack_watch: AckWatch::of(&pair.session).map(Box::new),
            session: pair.session,
            limits,
            ending: None,
        }
    }

    /// Lets both directions go as far as they can.
    fn drive(&mut self, cx: &mut Context<'_>, tap: Option<&dyn Tap>) {
        loop {
            let (a, b) = (&mut self.a, &mut self.b);
            let counts = self.session.meter_and_budgets();
            let outcome = self.b_to_a.outcome();
            let forth = self.a_to_b.poll(cx, a, b, counts, tap, outcome);
            let forth_waits = forth.is_pending();
            // Before the other direction is polled: the system reports a reset once (`SO_ERROR`), and
            // a read after the write that was told ECONNRESET is told an end of stream.
            if let Poll::Ready(event) = forth {
                tell(tap, Side::A, &event);
                self.on_event(Side::A, event);
            }
            let (a, b) = (&mut self.a, &mut self.b);
            let counts = self.session.meter_and_budgets();
            let outcome = self.a_to_b.outcome();
            let back = self.b_to_a.poll(cx, b, a, counts, tap, outcome);
            let back_waits = back.is_pending();
            if let Poll::Ready(event) = back {
                tell(tap, Side::B, &event);
                self.on_event(Side::B, event);
            }
            if forth_waits && back_waits {
                break;
            }
        }
        if let (meter, Some(budgets)) = self.session.meter_and_budgets() {
            for (from, direction) in [(Side::A, &self.a_to_b), (Side::B, &self.b_to_a)] {
                if !direction.is_flowing() {
                    budgets.leave(from);
                }
            }
            meter.held_up(budgets.is_waited_for());
        }
    }

    /// Does what is asked of a relay now and then; returns the tap, if there is one that is not done.
    #[cold]
    fn answer(&mut self) -> Option<Arc<dyn Tap>> {
        if self.session.meter().is_asked_for_sent()
            && let Some(sent) = last_sent(&mut self.a, &mut self.b, Instant::now())
        {
            self.session.meter().sent(sent);
        }
        let tap = self.session.current_tap();
        tap.filter(|tap| !tap.is_done())
    }

    /// Draws the consequences of an event of the direction that comes from this side.
    fn on_event(&mut self, from: Side, event: Event) {
        let ending = self.ending.get_or_insert_with(|| Box::new(Ending::now()));
        let (this, other) = match from {
            Side::A => (&mut self.a_to_b, &mut self.b_to_a),
            Side::B => (&mut self.b_to_a, &mut self.a_to_b),
        };
        match event {
            Event::SourceEnded => {
                ending.first.get_or_insert(from);
            }
            Event::SourceFailed(error) => {
                ending.failure.get_or_insert((from, error));
                other.discard(self.session.meter());
            }
            Event::Exhausted => {
                ending.exhausted = true;
                other.cut();
            }
            // The kernel says so of a peer that had ended its stream before it refused ours: its
            // answer is whole.
            Event::SinkFailed(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ending.closed_early.get_or_insert(!from);
                this.discard(self.session.meter());
            }
            Event::SinkFailed(error) => {
                ending.failure.get_or_insert((!from, error));
                this.discard(self.session.meter());
                other.distrust_end();
            }
            Event::Done => {}
        }
    }

    /// Polls the upkeep of the ios of both sides. Ready where they may be closed.
    fn poll_upkeep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let both = [self.a.poll_upkeep(cx), self.b.poll_upkeep(cx)];
        if both.iter().all(Poll::is_ready) {
            return Poll::Ready(());
        }
        // A shutdown that was left to the close does not wait for the other carrier.
        if self.a_to_b.outcome() == Some(Outcome::Ended) {
            let _ = Pin::new(&mut self.b).poll_shutdown(cx);
        }
        if self.b_to_a.outcome() == Some(Outcome::Ended) {
            let _ = Pin::new(&mut self.a).poll_shutdown(cx);
        }
        Poll::Pending
    }

    /// Ready when the pair has come to its natural end, or to its ending's time limit.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let wait = match (self.wait(), self.poll_upkeep(cx)) {
            (Wait::Over, Poll::Pending) => Wait::Linger,
            (wait, _) => wait,
        };
        let Some(ending) = &mut self.ending else {
            return Poll::Pending;
        };
        let now = Instant::now();
        let (since, limit, reason) = match wait {
            Wait::Over => return Poll::Ready(ending.reason()),
            Wait::Flow => {
                let limit = match self.limits.half_close {
                    // What a broken connection had sent is there, or never comes.
                    None if ending.failure.is_some() || ending.exhausted => {
                        Some(self.limits.linger)
                    }
                    timeout => timeout,
                };
                let idle_since = ending.since.max(self.session.meter().last_progress());
                (idle_since, limit, ending.half_close_reason())
            }
            Wait::Linger | Wait::Unsent => {
                let since = *ending.lingering.get_or_insert(now);
                (since, Some(self.limits.linger), ending.reason())
            }
        };
        // None: as good as never.
        let due_after = |since: Instant| limit.and_then(|limit| since.checked_add(limit));
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let mut due = due_after(since.max(ending.sent.unwrap_or(since)));
        if is_over(due) {
            // A peer that still takes what was written has its time again.
            ending.sent = last_sent(&mut self.a, &mut self.b, now);
            due = due_after(since.max(ending.sent.unwrap_or(since)));
            if is_over(due) {
                return Poll::Ready(reason);
            }
        }
        let look = match wait {
            Wait::Unsent => Some(now + UNSENT_POLL),
            Wait::Flow => Some(now + LISTENER_POLL),
            Wait::Linger | Wait::Over => None,
        };
        let Some(next) = due.into_iter().chain(look).min() else {
            return Poll::Pending;
        };
        if ending.poll_timer(next, cx).is_ready() {
            if matches!(wait, Wait::Flow) {
                self.look_for_gone_listener();
            }
            // Asks again, from the top.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// A side that has ended its stream is not read any more: only this tells that it was reset
    /// since.
    fn look_for_gone_listener(&mut self) {
        let listeners = [
            (
                Side::A,
                &self.a_to_b,
                &self.b_to_a,
                &mut self.b as &mut dyn Io,
            ),
            (
                Side::B,
                &self.b_to_a,
                &self.a_to_b,
                &mut self.a as &mut dyn Io,
            ),
        ];
        let gone = listeners
            .into_iter()
            .find_map(|(from, flowing, ended, sink)| {
                (flowing.is_flowing() && ended.outcome().is_some())
                    .then(|| sink.take_error())
                    .flatten()
                    .map(|error| (from, error))
            });
        if let Some((from, error)) = gone {
            self.on_event(from, Event::SinkFailed(error));
        }
    }

    /// Whether a peer was found whose system has answered nothing for too long: its connection has
    /// failed then, as the system would say after a quarter of an hour.
    fn look_for_vanished(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(watch) = &mut self.ack_watch else {
            return false;
        };
        let progress = self.session.meter().last_progress();
        let Some(side) = watch.poll(cx, [&mut self.a, &mut self.b], progress) else {
            return false;
        };
        self.ack_watch = None;
        match side {
            Side::A => self.a_to_b.cut(),
            Side::B => self.b_to_a.cut(),
        }
        let error = io::Error::new(io::ErrorKind::TimedOut, "the peer acknowledges no data");
        self.on_event(side, Event::SourceFailed(error));
        true
    }

    fn wait(&mut self) -> Wait {
        let at_end =
            |direction: &Direction| direction.outcome().is_some() || direction.is_discarding();
        if !at_end(&self.a_to_b) || !at_end(&self.b_to_a) {
            return Wait::Flow;
        }
        let outcomes = [self.a_to_b.outcome(), self.b_to_a.outcome()];
        let unsent =
            |outcome, sink: &mut dyn Io| outcome == Some(Outcome::Failed) && sink.has_unsent();
        if unsent(outcomes[0], &mut self.b) || unsent(outcomes[1], &mut self.a) {
            Wait::Unsent
        } else if outcomes.contains(&Some(Outcome::Ended)) && outcomes.contains(&None) {
            Wait::Linger
        } else {
            Wait::Over
        }
    }

    /// Ends both connections, and tells how it was.
    fn finish(&mut self, reason: CloseReason) -> Result<Summary, RelayError> {
        self.abort_unended();
        self.session.end(reason);
        let summary = Summary::of(&self.session, reason);
        match self.ending.take().and_then(|ending| ending.failure) {
            Some((_, source)) => Err(RelayError::new(summary, source)),
            None => Ok(summary),
        }
    }

    /// An end of stream is only ever passed on, never made up: a peer that reads one can rely on
    /// having read everything.
    fn abort_unended(&mut self) {
        if self.a_to_b.outcome() != Some(Outcome::Ended) {
            self.b.abort();
        }
        if self.b_to_a.outcome() != Some(Outcome::Ended) {
            self.a.abort();
        }
    }
}

impl<A: Io, B: Io> Future for Relaying<A, B> {
    type Output = Result<Summary, RelayError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Poll::Ready(reason) = this.session.poll_close_requested(cx) {
            return Poll::Ready(this.finish(reason));
        }
        // A load alone, as a rule.
        let tap = match this.session.meter().is_asked() {
            true => this.answer(),
            false => None,
        };
        this.drive(cx, tap.as_deref());
        if this.look_for_vanished(cx) {
            this.drive(cx, tap.as_deref());
        }
        this.poll_over(cx).map(|reason| this.finish(reason))
    }
}

impl<A: Io, B: Io> Drop for Relaying<A, B> {
    fn drop(&mut self) {
        self.abort_unended();
    }
}

impl<A: Io, B: Io> fmt::Debug for Relaying<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relaying")
            .field("session", &self.session)
            .field("a_to_b", &self.a_to_b)
            .field("b_to_a", &self.b_to_a)
            .finish_non_exhaustive()
    }
}

/// Tells the tap of an event of the direction that comes from this side.
fn tell(tap: Option<&dyn Tap>, from: Side, event: &Event) {
    let Some(tap) = tap else {
        return;
    };
    match event {
        Event::SourceEnded => tap.ended(from),
        Event::SourceFailed(error) => tap.failed(from, error),
        // A peer that refuses what comes and has had its say is not reset yet.
        Event::SinkFailed(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Event::SinkFailed(error) => tap.failed(!from, error),
        Event::Exhausted | Event::Done => {}
    }
}

/// When the system last sent to either peer what was written before, and was answered.
fn last_sent(a: &mut impl Io, b: &mut impl Io, now: Instant) -> Option<Instant> {
    let ago = [a.sent_ago(), b.sent_ago()].into_iter().flatten().min()?;
    now.checked_sub(ago)
}

// ===== impl Ending =====

impl Ending {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            first: None,
            closed_early: None,
            failure: None,
            exhausted: false,
            lingering: None,
            sent: None,
            timer: None,
        }
    }

    fn reason(&self) -> CloseReason {
        match (&self.failure, self.closed_early, self.first) {
            (Some((side, error)), _, _) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                    CloseReason::Reset(*side)
                }
                _ => CloseReason::Failed(*side),
            },
            (None, ..) if self.exhausted => CloseReason::QuotaExceeded,
            (None, Some(side), _) => CloseReason::ClosedEarly(side),
            (None, None, Some(side)) => CloseReason::Finished(side),
            (None, None, None) => unreachable!("a pair ends because of an event"),
        }
    }

    fn half_close_reason(&self) -> CloseReason {
        match self.reason() {
            CloseReason::Finished(side) => CloseReason::HalfCloseTimeout(side),
            reason => reason,
        }
    }

    /// Ready once each time it fires; it is armed again by then. That may be before it is due, as
    /// that is cheaper than to move it on every byte.
    fn poll_timer(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        let has_fired = timer.is_elapsed();
        if has_fired || due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending if has_fired => Poll::Ready(()),
            poll => poll,
        }
    }
}
