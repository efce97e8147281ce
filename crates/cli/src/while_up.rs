//! A listening port that is closed while all targets of the other side are down.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::endpoint::{self, AcceptErrors, Listen, LocalAddr, TargetWatch, TcpIo};
use futures::{Stream, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it is looked whether a target is up.
const LOOK: Duration = Duration::from_millis(100);

/// Listens while a target is up.
#[derive(Debug)]
pub(crate) struct WhileUp {
    pub(crate) listen: Listen,
    targets: TargetWatch,
    looks: Interval,
    is_closed: bool,
    has_failed: bool,
}

// ===== impl WhileUp =====

impl WhileUp {
    pub(crate) fn new(listen: Listen, targets: TargetWatch) -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            listen,
            targets,
            looks,
            is_closed: false,
            has_failed: false,
        }
    }

    fn look(&mut self) {
        let is_up = self.targets.status().any(|target| target.is_up);
        let address = self.listen.local_addr();
        let changed = match (is_up, self.is_closed) {
            (true, true) => self.listen.resume(),
            (false, false) => self.listen.suspend(),
            _ => return,
        };
        match changed {
            Ok(()) => {
                (self.is_closed, self.has_failed) = (!is_up, false);
                match is_up {
                    true => tracing::info!(%address, "a target is up: listens again"),
                    false => tracing::warn!(%address, "all targets are down: listens no more"),
                }
            }
            // Said once, and tried again.
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::error!(%address, %error, "the port can't be closed, or opened again");
            }
            Err(_) => {}
        }
    }
}

impl Stream for WhileUp {
    type Item = <Listen as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.looks.poll_tick(cx).is_ready() {
            self.look();
        }
        match self.is_closed {
            true => Poll::Pending,
            false => self.listen.poll_next_unpin(cx),
        }
    }
}

impl endpoint::Endpoint for WhileUp {
    type Io = TcpIo;
    type Error = std::io::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        Some(self.listen.local_addr().into())
    }

    fn accept_errors(&self) -> Option<AcceptErrors> {
        self.listen.accept_errors()
    }
}
