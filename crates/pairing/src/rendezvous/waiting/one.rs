use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use couplet_endpoint::{
    Conn, FairSlot, Info, Io, Pooled, Replay,
    io::{is_alive, may_have_vanished},
};
use tokio::{task::unconstrained, time::Instant};

use super::wake::WakeOne;
use crate::{Refusal, unjoined::Unjoined};

/// A waiting connection, and the tag of its matchmaker.
#[derive(Debug)]
pub(in crate::rendezvous) struct Waiting<I, T> {
    pub(super) number: u64,
    conn: Unjoined<Replay<I>>,
    pub(super) since: Instant,
    pub(in crate::rendezvous) tag: T,
    wake: Arc<WakeOne>,
    slot: Option<FairSlot>,
    is_open: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Health {
    /// Its io wakes us when something happens.
    Watched,
    /// The bound of bytes is read ahead, so the io wakes no task.
    Filled,
    /// The peer has ended its stream, so the io wakes no task.
    Ended,
    Gone,
}

// ===== impl Waiting =====

impl<I: Io, T> Waiting<I, T> {
    pub(super) fn new(
        number: u64,
        conn: Unjoined<I>,
        slot: FairSlot,
        tag: T,
        wake: Arc<WakeOne>,
    ) -> Self {
        Self {
            number,
            conn: Unjoined::new(conn.take().map_io(Replay::new)),
            since: Instant::now(),
            tag,
            wake,
            slot: Some(slot),
            is_open: true,
        }
    }

    /// [Checks](Self::check) whether the connection stays; the error is that it leaves, refused for a
    /// reason or because its peer is gone.
    pub(super) fn stays(&mut self, early: usize, silent: bool) -> Result<Health, Option<Refusal>> {
        // Before both looks, so that no wake-up is lost.
        let waker = self.wake.waker();
        let cx = &mut Context::from_waker(&waker);
        match self.check(cx, early) {
            Health::Gone => Err(None),
            _ if silent && self.spoke() => Err(Some(Refusal::Impatient)),
            _ if self.gives_way(cx) => Err(Some(Refusal::Evicted)),
            health => Ok(health),
        }
    }

    /// Reads the bytes at hand ahead, and learns from that whether the peer is alive.
    fn check(&mut self, cx: &mut Context<'_>, early: usize) -> Health {
        // Outside tokio's budget: a read that the budget puts off would look like a live peer.
        let look = unconstrained(poll_fn(|cx| self.poll_health(cx, early.max(1))));
        match pin!(look).poll(cx) {
            Poll::Ready(health) => {
                self.is_open &= health != Health::Ended;
                health
            }
            // The runtime may not know yet of an error that the system has.
            Poll::Pending if self.conn.io.take_error().is_some() => Health::Gone,
            Poll::Pending => Health::Watched,
        }
    }

    fn poll_health(&mut self, cx: &mut Context<'_>, early: usize) -> Poll<Health> {
        loop {
            let io = &mut self.conn.io;
            let health = match ready!(io.poll_read_ahead(cx, early)) {
                Ok(0) if io.ahead().len() >= early => Health::Filled,
                Ok(0) if self.wants_answer() => Health::Ended,
                Ok(0) | Err(_) => Health::Gone,
                Ok(_) => continue,
            };
            return Poll::Ready(match self.conn.io.take_error() {
                Some(_) => Health::Gone,
                None => health,
            });
        }
    }

    /// Whether the slot is needed for a connection of another network; later, the waker is told.
    fn gives_way(&self, cx: &mut Context<'_>) -> bool {
        let slot = self.slot.as_ref();
        slot.is_some_and(|slot| slot.poll_gives_way(cx).is_ready())
    }

    /// Whether only asking tells that the peer is there.
    pub(in crate::rendezvous) fn may_have_vanished(&mut self) -> bool {
        may_have_vanished(&mut self.conn.io)
    }

    /// Asks the peer's system, if need be.
    pub(in crate::rendezvous) async fn is_alive(&mut self, within: Duration) -> bool {
        is_alive(&mut self.conn.io, within).await
    }

    /// Whether a peer that has ended its stream may still want its partner's bytes.
    ///
    /// A peer that sent bytes before, to its partner or to the relay, may. But a connection of a pool was
    /// dialled ahead: a server that greets and then closes has given up.
    fn wants_answer(&self) -> bool {
        let info = &self.conn.info;
        let is_pooled = info.extensions.get::<Pooled>().is_some();
        !is_pooled && (info.has_spoken || !self.conn.io.ahead().is_empty())
    }
}

impl<I, T> Waiting<I, T> {
    pub(in crate::rendezvous) fn number(&self) -> u64 {
        self.number
    }

    /// Since when it waits; of one that was put back, too.
    pub(in crate::rendezvous) fn since(&self) -> Instant {
        self.since
    }

    pub(in crate::rendezvous) fn info(&self) -> &Info {
        &self.conn.info
    }

    pub(in crate::rendezvous) fn info_mut(&mut self) -> &mut Info {
        &mut self.conn.info
    }

    /// Whether the peer may still send; a look at the connection finds it out.
    pub(in crate::rendezvous) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn free_slot(&mut self) {
        self.slot = None;
    }

    /// Its slot may be needed for a connection of another network.
    pub(super) fn may_give_way(&mut self) {
        if let Some(slot) = &mut self.slot
            && let Some(network) = self.conn.info.stranger()
        {
            slot.may_give_way(network);
        }
    }

    /// It is about to be joined, so its slot is not needed for another.
    pub(super) fn keeps_slot(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.settle();
        }
    }

    /// Whether the peer has sent bytes to its partner.
    pub(super) fn spoke(&self) -> bool {
        !self.conn.io.ahead().is_empty()
    }

    /// Leaves the waiting set for good: its slot is free.
    pub(in crate::rendezvous) fn leave(self) -> Conn<Replay<I>> {
        self.into_parts().0
    }

    /// Leaves the waiting set for good, with its tag.
    pub(in crate::rendezvous) fn into_parts(self) -> (Conn<Replay<I>>, T) {
        let mut conn = self.conn.take();
        conn.info.has_ended = !self.is_open;
        (conn, self.tag)
    }
}
