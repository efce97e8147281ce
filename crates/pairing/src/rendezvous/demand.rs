use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

use crate::handover::{Request, Sender};

/// The requests of the pair stack: whether a pair is wanted now.
#[derive(Debug)]
pub(super) struct Demand<P> {
    sender: Sender<P>,
    request: Option<Request>,
}

/// No pair will be requested any more.
#[derive(Debug)]
pub(super) struct Over;

/// One timer, armed for the earliest deadline.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

// ===== impl Demand =====

impl<P> Demand<P> {
    pub(super) fn new(sender: Sender<P>) -> Self {
        Self {
            sender,
            request: None,
        }
    }

    /// Polls for a request.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        // Until it is pending, even with a request at hand, to learn of the end. There are never two
        // requests at a time.
        while let Poll::Ready(request) = self.sender.poll_request(cx) {
            self.request = Some(request.ok_or(Over)?);
        }
        Ok(())
    }

    pub(super) fn is_requested(&self) -> bool {
        self.request.is_some()
    }

    /// Sends the requested pair.
    pub(super) fn send(&mut self, pair: P) {
        let request = self.request.take();
        let request = request.expect("a pair is made only on request");
        self.sender.send(request, pair);
    }
}

// ===== impl Timer =====

impl Timer {
    /// Ready when the time has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(due) = due else {
            self.0 = None;
            return Poll::Pending;
        };
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}
