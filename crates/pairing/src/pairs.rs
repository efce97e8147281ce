use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;

use crate::{WaitingCounts, handover::Taker, pair::Pair};

/// The stream of pairs that a pairing makes.
///
/// A pair is made only when this stream is polled for one, so connections wait in the pairing
/// (watched, counted, bounded) and not in a queue behind it. The stream ends when a side can
/// bring no more connections; dropping it ends the pairing and lets go of all that wait.
#[derive(Debug)]
pub struct Pairs<A, B> {
    taker: Taker<Pair<A, B>>,
    counts: WaitingCounts,
}

// ===== impl Pairs =====

impl<A, B> Pairs<A, B> {
    pub(crate) fn new(taker: Taker<Pair<A, B>>, counts: WaitingCounts) -> Self {
        Self { taker, counts }
    }

    /// The counts of waiting connections.
    pub fn counts(&self) -> WaitingCounts {
        self.counts.clone()
    }
}

impl<A, B> Stream for Pairs<A, B>
where
    Taker<Pair<A, B>>: Unpin,
{
    type Item = Result<Pair<A, B>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.taker)
            .poll_next(cx)
            .map(|pair| pair.map(Ok))
    }
}
