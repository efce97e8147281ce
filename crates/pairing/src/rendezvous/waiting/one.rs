use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Conn, Info, Io, Pooled, Replay};
use tokio::{task::unconstrained, time::Instant};

use super::wake::WakeOne;
use crate::{seats::Seat, unjoined::Unjoined};

/// A connection that waits, and what its matchmaker knows of it.
#[derive(Debug)]
pub(in crate::rendezvous) struct Waiting<I, T> {
    pub(super) number: u64,
    conn: Unjoined<Replay<I>>,
    pub(super) since: Instant,
    pub(in crate::rendezvous) tag: T,
    wake: Arc<WakeOne>,
    slot: Option<Seat>,
    is_open: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Health {
    /// Its io wakes us when something happens.
    Watched,
    /// As much as may be is read ahead, so its io wakes nobody.
    Filled,
    /// The peer has ended its stream, so its io wakes nobody.
    Ended,
    Gone,
}

// ===== impl Waiting =====

impl<I: Io, T> Waiting<I, T> {
    pub(super) fn new(
        number: u64,
        conn: Unjoined<I>,
        slot: Seat,
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

    /// Reads ahead what has come, and sees from that how the peer is.
    pub(super) fn check(&mut self, early: usize) -> Health {
        // Before the look, so that no wake-up falls between.
        let waker = self.wake.waker();
        // Even if the task has used up its turn: a look put off would pass for a good one.
        let look = unconstrained(poll_fn(|cx| self.poll_health(cx, early.max(1))));
        match pin!(look).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(health) => {
                self.is_open &= health != Health::Ended;
                health
            }
            // The runtime may not have heard yet what the system knows already.
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

    /// Whether a peer that has ended its stream may still want what its partner sends.
    ///
    /// A peer that sent something before, to its partner or to the relay, does. But a connection of
    /// a pool was dialled before anybody needed it: a server that greets and then gives up has not
    /// waited for anybody.
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

    pub(in crate::rendezvous) fn info(&self) -> &Info {
        &self.conn.info
    }

    /// Whether the peer may still send; a look at the connection finds it out.
    pub(in crate::rendezvous) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn free_slot(&mut self) {
        self.slot = None;
    }

    /// Has the peer sent anything to its partner?
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
