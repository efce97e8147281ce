//! One direction of a pair: reads from a source, writes to a sink.
//!
//! ```text
//!            source ended             everything written, flushed and shut down
//!  ┌──────┐ ───────────────▶ ┌─────┐ ──────────────────────────────────▶ Done(Ended)
//!  │      │                  │ End │
//!  │      │                  └─────┘
//!  │      │  source failed   ┌──────┐  everything written and flushed
//!  │ Flow │  or budget spent │ Fail │ ──────────────────────────────────▶ Done(Failed)
//!  │      │ ───────────────▶ └──────┘
//!  │      │  sink failed     ┌─────────┐  source ended or failed
//!  │      │ ───────────────▶ │ Discard │ ───────────────────────────────▶ Done(Discarded)
//!  └──────┘                  └─────────┘
//!  End, Fail: the sink failed ──────────────────────────────────────────▶ Done(Discarded)
//! ```
//!
//! In `Flow` a direction copies, and is promoted to splice where that costs less: see
//! [`CopyOrSplice::poll_take`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Io, Side};
use couplet_pairing::{Budgets, Meter, Tap};

use crate::{
    buffer::Buffer,
    transfer::{CopyOrSplice, Held, Splice},
    turn::Turn,
};

/// How many bytes that can't be delivered are read and thrown away.
const DISCARD: u64 = 64 * 1024 * 1024;

/// One direction of a pair.
#[derive(Debug)]
pub(crate) struct Direction {
    from: Side,
    state: State,
    way: CopyOrSplice,
    held: Held,
    /// Something was written since the last flush.
    unflushed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Bytes flow.
    Flow { source_broken: bool },
    /// The source has ended; what is left goes out, then the end itself.
    End,
    /// The source has failed, or may send no more; what is left goes out, and no end.
    Fail,
    /// The sink is gone. What still comes is thrown away, so that a source which must finish
    /// sending before it reads can do so.
    Discard { left: u64 },
    /// Nothing more will be done.
    Done(Outcome),
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Everything was delivered, the end of the stream too.
    Ended,
    /// Everything that came before the source failed, or might send no more, was delivered.
    Failed,
    /// There was nowhere to deliver to.
    Discarded,
}

/// What happened to a direction.
#[derive(Debug)]
pub(crate) enum Event {
    /// The source has ended its stream.
    SourceEnded,
    /// The source has failed.
    SourceFailed(io::Error),
    /// The source has sent more than its budget will ever allow.
    Exhausted,
    /// The sink takes no more.
    SinkFailed(io::Error),
    /// The direction is [done](Direction::outcome).
    Done,
}

// ===== impl Direction =====

impl Direction {
    pub(crate) const fn new(from: Side, splice: Splice) -> Self {
        Self {
            from,
            state: State::Flow {
                source_broken: false,
            },
            way: CopyOrSplice::new(splice),
            held: Held::Nothing,
            unflushed: false,
        }
    }

    /// How the direction ended, once it has.
    pub(crate) const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            State::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub(crate) const fn is_flowing(&self) -> bool {
        matches!(self.state, State::Flow { .. })
    }

    pub(crate) const fn is_discarding(&self) -> bool {
        matches!(self.state, State::Discard { .. })
    }

    /// The source's connection is known to be broken: an end of its stream is not to be trusted.
    pub(crate) fn distrust_end(&mut self) {
        if let State::Flow { source_broken } = &mut self.state {
            *source_broken = true;
        }
    }

    /// Nothing more may be taken from the source.
    pub(crate) fn cut(&mut self) {
        if self.is_flowing() {
            self.state = State::Fail;
        }
    }

    /// The sink is gone.
    pub(crate) fn discard(&mut self, meter: &Meter) {
        self.held = Held::Nothing;
        meter.end_stall(self.from);
        match self.state {
            State::Flow { .. } => self.state = State::Discard { left: DISCARD },
            State::End | State::Fail => self.state = State::Done(Outcome::Discarded),
            State::Discard { .. } | State::Done(_) => {}
        }
    }

    /// Moves bytes until it has to wait; ready with what happened, never again after `Done`.
    pub(crate) fn poll<R: Io, W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        (meter, budgets): (&Meter, Option<&mut Budgets>),
        tap: Option<&dyn Tap>,
        other: Option<Outcome>,
    ) -> Poll<Event> {
        match self.state {
            State::Flow { source_broken } => {
                match ready!(self.poll_flow(cx, source, sink, (meter, budgets), tap)) {
                    Event::SourceEnded if source_broken => {
                        self.state = State::Fail;
                        let error = io::ErrorKind::ConnectionReset.into();
                        Poll::Ready(Event::SourceFailed(error))
                    }
                    Event::SourceEnded => {
                        self.state = State::End;
                        Poll::Ready(Event::SourceEnded)
                    }
                    event => {
                        if let Event::SourceFailed(_) | Event::Exhausted = event {
                            self.state = State::Fail;
                        }
                        Poll::Ready(event)
                    }
                }
            }
            State::End => {
                let result = ready!(self.poll_end(cx, sink, meter, other));
                self.done_or_failed(result, Outcome::Ended)
            }
            State::Fail => {
                let result = ready!(self.poll_deliver(cx, sink, meter));
                self.done_or_failed(result, Outcome::Failed)
            }
            State::Discard { .. } => {
                ready!(self.poll_discard(cx, source));
                self.done_or_failed(Ok(()), Outcome::Discarded)
            }
            State::Done(_) => Poll::Pending,
        }
    }

    fn done_or_failed(&mut self, result: io::Result<()>, outcome: Outcome) -> Poll<Event> {
        Poll::Ready(match result {
            Ok(()) => {
                self.state = State::Done(outcome);
                Event::Done
            }
            Err(error) => Event::SinkFailed(error),
        })
    }

    fn poll_flow<R: Io, W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        (meter, mut budgets): (&Meter, Option<&mut Budgets>),
        tap: Option<&dyn Tap>,
    ) -> Poll<Event> {
        let may_splice = tap.is_none();
        let mut turn = Turn::new();
        loop {
            if let Err(error) = ready!(self.poll_write(cx, sink, meter)) {
                return Poll::Ready(Event::SinkFailed(error));
            }
            if turn.is_over() {
                break;
            }
            let taken = match &mut budgets {
                None => self
                    .way
                    .poll_take(cx, source, sink, u32::MAX, may_splice)
                    .map_err(Event::SourceFailed),
                Some(budgets) => self.poll_take_within(cx, source, sink, budgets, may_splice),
            };
            match taken {
                Poll::Ready(Ok(Held::Nothing)) => return Poll::Ready(Event::SourceEnded),
                Poll::Ready(Ok(held)) => {
                    if let Some(tap) = tap {
                        tap.data(self.from, held.bytes());
                    }
                    turn.took(held.len(), held.is_in_pipe());
                    self.held = held;
                }
                Poll::Ready(Err(event)) => return Poll::Ready(event),
                // The source stalls: nothing it sent may wait in a buffer on the way.
                Poll::Pending => {
                    return match ready!(self.poll_flush(cx, sink)) {
                        Ok(()) => Poll::Pending,
                        Err(error) => Poll::Ready(Event::SinkFailed(error)),
                    };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes no more from the source than the budgets allow.
    fn poll_take_within<R: Io, W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &W,
        budgets: &mut Budgets,
        may_splice: bool,
    ) -> Poll<Result<Held, Event>> {
        let way = &mut self.way;
        let (taken, most) = ready!(budgets.poll_take(cx, self.from, |cx, most| {
            let taken = way.poll_take(cx, source, sink, most, may_splice);
            taken.map(|taken| {
                let n = taken.as_ref().map_or(0, Held::len);
                (taken, n)
            })
        }));
        Poll::Ready(match taken {
            Ok(held) if held.len() > most => Err(Event::Exhausted),
            taken => taken.map_err(Event::SourceFailed),
        })
    }

    /// Writes out what is held.
    fn poll_write<W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        while self.held.len() > 0 {
            let by_splice = self.held.is_in_pipe();
            let n = match self.held.poll_write(cx, sink) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    meter.begin_stall(self.from, self.held.len());
                    // A sink may need to flush before it can take more.
                    ready!(self.poll_flush(cx, sink))?;
                    return Poll::Pending;
                }
            };
            self.unflushed = true;
            match by_splice {
                true => meter.add_spliced(self.from, n.into()),
                false => meter.add(self.from, n.into()),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: Io>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_deliver<W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_write(cx, sink, meter))?;
        self.poll_flush(cx, sink)
    }

    fn poll_end<W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        meter: &Meter,
        other: Option<Outcome>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_deliver(cx, sink, meter))?;
        // To shut down a connection that is broken succeeds, and says nothing of what was lost.
        if may_have_failed(sink)
            && let Some(error) = sink.take_error()
        {
            return Poll::Ready(Err(error));
        }
        // What the sink had to say was read to its end: closing the socket, which comes next, tells
        // the same as shutting it down.
        #[cfg(unix)]
        if other == Some(Outcome::Ended)
            && sink
                .splice_sink()
                .is_some_and(|socket| !socket.is_in_frames())
        {
            sink.shut_by_drop();
            return Poll::Ready(Ok(()));
        }
        #[cfg(not(unix))]
        let _ = other;
        Pin::new(sink).poll_shutdown(cx)
    }

    /// Ready when nothing more comes.
    fn poll_discard<R: Io>(&mut self, cx: &mut Context<'_>, source: &mut R) -> Poll<()> {
        let State::Discard { left } = &mut self.state else {
            return Poll::Ready(());
        };
        let mut turn = Turn::new();
        while !turn.is_over() {
            if *left == 0 {
                return Poll::Pending; // The sender is held up; a timer ends it.
            }
            match ready!(Buffer::poll_read(cx, source, u32::MAX)) {
                Ok(Some(buffer)) => {
                    turn.took(buffer.len(), false);
                    *left = left.saturating_sub(buffer.len().into());
                }
                Ok(None) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Is asking for the sink's error worth a system call?
fn may_have_failed<W: Io>(sink: &W) -> bool {
    #[cfg(unix)]
    if let Some(socket) = sink.splice_sink()
        && !socket.is_in_frames()
    {
        return socket.is_known_to_have_failed();
    }
    let _ = sink;
    true
}
