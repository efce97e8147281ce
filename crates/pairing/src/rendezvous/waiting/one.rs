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
    _seat: Seat,
}

#[derive(Debug, PartialEq)]
pub(super) enum Health {
    /// Its io wakes us when something happens.
    Watched,
    /// There is nothing more to read, so its io will not wake us.
    Unwatched,
    Gone,
}

// ===== impl Waiting =====

impl<I: Io, T> Waiting<I, T> {
    pub(super) fn new(
        number: u64,
        conn: Unjoined<I>,
        seat: Seat,
        tag: T,
        wake: Arc<WakeOne>,
    ) -> Self {
        Self {
            number,
            conn: Unjoined::new(conn.take().map_io(Replay::new)),
            since: Instant::now(),
            tag,
            wake,
            _seat: seat,
        }
    }

    /// Reads ahead what has come, and sees from it how the peer is.
    pub(super) fn check(&mut self, early: usize) -> Health {
        // Before the look, so that no wake-up falls between.
        let waker = self.wake.waker();
        // Even if the task has used up its turn: a look put off would pass for a good one.
        let look = unconstrained(poll_fn(|cx| self.poll_health(cx, early.max(1))));
        match pin!(look).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(health) => health,
            // The runtime may not have heard yet what the system knows already.
            Poll::Pending if self.conn.io.take_error().is_some() => Health::Gone,
            Poll::Pending => Health::Watched,
        }
    }

    fn poll_health(&mut self, cx: &mut Context<'_>, early: usize) -> Poll<Health> {
        loop {
            let io = &mut self.conn.io;
            match ready!(io.poll_read_ahead(cx, early)) {
                Ok(0) if self.may_stay(early) && self.conn.io.take_error().is_none() => {
                    return Poll::Ready(Health::Unwatched);
                }
                Ok(0) | Err(_) => return Poll::Ready(Health::Gone),
                Ok(_) => {}
            }
        }
    }

    /// There is nothing more to read, because as much as may be was, or at the end of the stream.
    ///
    /// Who said something before its end wants it delivered. But one of a pool was dialled before
    /// anybody needed it, and a server that greets and then gives up has not waited for anybody.
    fn may_stay(&self, early: usize) -> bool {
        let ahead = self.conn.io.ahead().len();
        let is_pooled = self.conn.info.extensions.get::<Pooled>().is_some();
        ahead >= early || (ahead > 0 && !is_pooled)
    }
}

impl<I, T> Waiting<I, T> {
    pub(in crate::rendezvous) fn number(&self) -> u64 {
        self.number
    }

    pub(in crate::rendezvous) fn info(&self) -> &Info {
        &self.conn.info
    }

    /// Has its peer sent anything?
    pub(super) fn spoke(&self) -> bool {
        !self.conn.io.ahead().is_empty()
    }

    /// Leaves the waiting set for good: its place is free.
    pub(in crate::rendezvous) fn leave(self) -> Conn<Replay<I>> {
        self.conn.take()
    }

    /// Leaves the waiting set for good, with its tag.
    pub(in crate::rendezvous) fn into_parts(self) -> (Conn<Replay<I>>, T) {
        (self.conn.take(), self.tag)
    }
}
