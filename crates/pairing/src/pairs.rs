use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;

use crate::{WaitingCounts, handover::Receiver, pair::Pair};

/// The stream of pairs that a pairing makes.
///
/// A pair is made only when this stream is polled, so connections wait in the pairing (watched, counted,
/// bounded) and not in a queue behind it. The stream ends when a side can bring no more connections.
/// Dropping it ends the pairing, and drops all waiting connections.
#[derive(Debug)]
pub struct Pairs<A, B> {
    receiver: Receiver<Pair<A, B>>,
    counts: WaitingCounts,
}

// ===== impl Pairs =====

impl<A, B> Pairs<A, B> {
    pub(crate) fn new(receiver: Receiver<Pair<A, B>>, counts: WaitingCounts) -> Self {
        Self { receiver, counts }
    }

    /// The counts of waiting connections.
    pub fn counts(&self) -> WaitingCounts {
        self.counts.clone()
    }
}

impl<A, B> Stream for Pairs<A, B>
where
    Receiver<Pair<A, B>>: Unpin,
{
    type Item = Result<Pair<A, B>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver)
            .poll_next(cx)
            .map(|pair| pair.map(Ok))
    }
}
