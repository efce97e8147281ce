use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

use crate::handover::{Asked, Giver};

/// Whether a pair is asked for.
#[derive(Debug)]
pub(super) struct Demand<P> {
    giver: Giver<P>,
    asked: Option<Asked>,
}

/// No pair will be asked for any more.
#[derive(Debug)]
pub(super) struct Over;

/// One timer for all that is due, armed for whatever is first.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

// ===== impl Demand =====

impl<P> Demand<P> {
    pub(super) fn new(giver: Giver<P>) -> Self {
        Self { giver, asked: None }
    }

    /// Looks whether a pair is asked for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        // Until it is pending, even when a pair is asked for: it is how the end is heard of.
        // No two are asked for at a time.
        while let Poll::Ready(asked) = self.giver.poll_asked(cx) {
            self.asked = Some(asked.ok_or(Over)?);
        }
        Ok(())
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Gives the pair that was asked for.
    pub(super) fn give(&mut self, pair: P) {
        let asked = self.asked.take();
        let asked = asked.expect("a pair is made only when it is asked for");
        self.giver.give(asked, pair);
    }
}

// ===== impl Timer =====

impl Timer {
    /// Has the time come?
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
