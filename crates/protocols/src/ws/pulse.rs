//! The pings: when one is due, and when the peer is given up.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The number of pings in a row for which the peer may be silent.
const MISSES: u8 = 2;

#[derive(Debug)]
pub(super) struct Pulse {
    every: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the peer pings by itself, also while it reads nothing.
    peer_pings: bool,
    /// Since the last beat.
    heard: bool,
    /// Since the peer was last heard of.
    pub(super) wrote: bool,
    /// Nothing lies there unread.
    pub(super) listens: bool,
    misses: u8,
}

/// What is due.
#[derive(Debug, PartialEq)]
pub(super) enum Beat {
    /// The peer is to be asked.
    Ping,
    /// The peer is gone.
    Gone,
}

// ===== impl Pulse =====

impl Pulse {
    pub(super) const fn new(every: Option<Duration>, peer_pings: bool) -> Self {
        Self {
            every,
            timer: None,
            peer_pings,
            heard: true,
            wrote: false,
            listens: false,
            misses: 0,
        }
    }

    pub(super) const fn heard(&mut self) {
        self.heard = true;
        self.wrote = false;
        self.listens = false;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        let Some(every) = self.every else {
            return Poll::Pending;
        };
        let due = || Instant::now() + every;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(due())));
        ready!(timer.as_mut().poll(cx));
        timer.as_mut().reset(due());
        let _ = timer.as_mut().poll(cx);
        // A peer that reads nothing, as we fill it up, answers nothing.
        let may_be_stuck = self.wrote && !self.peer_pings;
        match !self.heard && self.listens && !may_be_stuck {
            true => self.misses += 1,
            false => self.misses = 0,
        }
        self.heard = false;
        Poll::Ready(match self.misses {
            MISSES.. => Beat::Gone,
            _ => Beat::Ping,
        })
    }
}
