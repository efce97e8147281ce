//! Couples of which a peer has been silent for long, while its system is asked whether it is there.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::Io;
use futures::future::join;
use tokio::task::{Id, JoinSet};

use super::waiting::Waiting;

/// How long a peer's system has to answer, and is asked each second.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Each couple is asked in a task of its own, outside of the waiting set, so that the others are
/// joined meanwhile. What has answered is put back, and is joined then.
#[derive(Debug)]
pub(super) struct Asking<A, B>(JoinSet<(Answer<A>, Answer<B>)>);

/// What became of a connection whose peer was asked.
#[derive(Debug)]
pub(super) struct Answer<W> {
    pub(super) waiting: W,
    pub(super) is_alive: bool,
}

// ===== impl Asking =====

impl<IA, TA, IB, TB> Asking<Waiting<IA, TA>, Waiting<IB, TB>>
where
    IA: Io,
    IB: Io,
    TA: Send + 'static,
    TB: Send + 'static,
{
    pub(super) fn new() -> Self {
        Self(JoinSet::new())
    }

    /// Returns the two if nothing has to be asked, or else the number of the question.
    pub(super) fn ask(
        &mut self,
        mut a: Waiting<IA, TA>,
        mut b: Waiting<IB, TB>,
    ) -> Result<(Waiting<IA, TA>, Waiting<IB, TB>), Id> {
        if !a.may_have_vanished() && !b.may_have_vanished() {
            return Ok((a, b));
        }
        Err(self.0.spawn(join(answer(a), answer(b))).id())
    }

    /// The next answered question. `None` in place of the two connections if a foreign io has panicked: both
    /// are gone then.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(Id, Answers<IA, TA, IB, TB>)> {
        match self.0.poll_join_next_with_id(cx) {
            Poll::Ready(Some(Ok((id, answers)))) => Some((id, Some(answers))),
            Poll::Ready(Some(Err(error))) => Some((error.id(), None)),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }
}

type Answers<IA, TA, IB, TB> = Option<(Answer<Waiting<IA, TA>>, Answer<Waiting<IB, TB>>)>;

impl<A: 'static, B: 'static> Asking<A, B> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

async fn answer<I: Io, T>(mut waiting: Waiting<I, T>) -> Answer<Waiting<I, T>> {
    let is_alive = waiting.is_alive(ANSWER_TIMEOUT).await;
    Answer { waiting, is_alive }
}
