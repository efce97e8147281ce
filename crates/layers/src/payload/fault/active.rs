use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    Fault,
    late::{Late, Taken},
    switch::Watch,
};
use crate::shared_io::tell_end;

/// The bytes read at once to be held back or discarded.
const CHUNK: usize = 16 * 1024;

/// The longest delay that a slow direction makes up for in a burst.
const CATCH_UP: Duration = Duration::from_millis(100);

/// The reads to be discarded before other tasks get a turn.
const ROUNDS: u32 = 32;

/// A fault at work on one direction of one pair.
#[derive(Debug)]
pub(super) struct Active {
    fault: Fault,
    watch: Watch,
    random: fastrand::Rng,
    timer: Option<Pin<Box<Sleep>>>,
    late: Late,
    /// When the fault was switched on, and the bytes since then.
    on: Option<(Instant, u64)>,
    /// Nothing comes before this.
    not_before: Option<Instant>,
    /// Bytes were discarded.
    has_lost: bool,
    /// How the direction has ended.
    end: Option<io::Result<()>>,
}

// ===== impl Active =====

impl Active {
    pub(super) fn new(fault: Fault, watch: Watch, random: fastrand::Rng) -> Self {
        Self {
            fault,
            watch,
            random,
            timer: None,
            late: Late::default(),
            on: None,
            not_before: None,
            has_lost: false,
            end: None,
        }
    }

    /// Whether the fault leaves the bytes alone now.
    pub(super) fn is_idle(&self) -> bool {
        !self.watch.is_on() && self.late.is_empty() && !self.has_lost && self.end.is_none()
    }

    pub(super) fn poll_read<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_on = self.watch.is_on();
        let read = self.poll_read_while(cx, io, buf, is_on);
        if read.is_pending() {
            self.watch.register(cx, is_on);
        }
        read
    }

    fn poll_read_while<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        buf: &mut ReadBuf<'_>,
        is_on: bool,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &mut self.end {
            return Poll::Ready(tell_end(end));
        }
        if !is_on {
            self.on = None;
            self.not_before = None;
            self.timer = None;
            if self.has_lost {
                return self.fail(io::ErrorKind::ConnectionReset);
            }
            return match self.late.take(None, buf) {
                Taken::Nothing => Pin::new(io).poll_read(cx, buf),
                Taken::Bytes => Poll::Ready(Ok(())),
                Taken::End(end) => self.end_with(end),
            };
        }
        let (since, come) = *self.on.get_or_insert_with(|| (Instant::now(), 0));
        match self.fault {
            Fault::Latency { delay, jitter } => self.poll_late(cx, io, buf, delay, jitter),
            Fault::Slow { bytes_per_second } => {
                // Woken fifty times a second, and not for each byte.
                let most = usize::try_from(bytes_per_second.get() / 50).unwrap_or(usize::MAX);
                ready!(self.poll_not_before(cx));
                let n = ready!(poll_some(cx, io, buf, most.max(1)))? as u64;
                let nanos = u128::from(n) * 1_000_000_000 / u128::from(bytes_per_second.get());
                let pause = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                self.not_before = self.on_schedule().checked_add(pause);
                Poll::Ready(Ok(()))
            }
            Fault::Slice { size, pause } => {
                ready!(self.poll_not_before(cx));
                ready!(poll_some(cx, io, buf, size.get()))?;
                self.not_before = Instant::now().checked_add(pause);
                Poll::Ready(Ok(()))
            }
            Fault::SlowClose { delay } => {
                if self.late.is_empty() {
                    match ready!(poll_some(cx, io, buf, usize::MAX)) {
                        Ok(0) => self.late.end(Ok(()), delay),
                        Ok(_) => return Poll::Ready(Ok(())),
                        Err(error) => self.late.end(Err(error), delay),
                    }
                }
                self.poll_arrival(cx, buf)
            }
            Fault::Timeout { after } => {
                if let Some(due) = since.checked_add(after) {
                    ready!(self.poll_until(cx, due));
                    return self.fail(io::ErrorKind::TimedOut);
                }
                Poll::Pending
            }
            Fault::Reset { after } | Fault::Limit { bytes: after } => {
                let left = after.saturating_sub(come);
                if left == 0 {
                    return match self.fault {
                        Fault::Limit { .. } => self.end_with(Ok(())),
                        _ => self.fail(io::ErrorKind::ConnectionReset),
                    };
                }
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let n = ready!(poll_some(cx, io, buf, most))?;
                self.on = Some((since, come + n as u64));
                Poll::Ready(Ok(()))
            }
            Fault::Blackhole => {
                for _ in 0..ROUNDS {
                    let mut chunk = [MaybeUninit::uninit(); CHUNK];
                    let mut chunk = ReadBuf::uninit(&mut chunk);
                    let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut chunk));
                    self.has_lost = true;
                    if read.is_err() || chunk.filled().is_empty() {
                        return Poll::Pending; // Nothing more will come.
                    }
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn poll_late<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        buf: &mut ReadBuf<'_>,
        delay: Duration,
        jitter: Duration,
    ) -> Poll<io::Result<()>> {
        while self.late.has_room() {
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let room = self.late.room().min(CHUNK);
            let mut chunk = ReadBuf::uninit(&mut chunk[..room]);
            let Poll::Ready(read) = Pin::new(&mut *io).poll_read(cx, &mut chunk) else {
                break;
            };
            let delay = self.jittered(delay, jitter);
            match read {
                Ok(()) if chunk.filled().is_empty() => self.late.end(Ok(()), delay),
                Ok(()) => self.late.add(chunk.filled(), delay),
                Err(error) => self.late.end(Err(error), delay),
            }
        }
        self.poll_arrival(cx, buf)
    }

    /// Takes bytes held back, once their time has come.
    fn poll_arrival(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.late.take(Some(Instant::now()), buf) {
                Taken::Bytes => return Poll::Ready(Ok(())),
                Taken::End(end) => return self.end_with(end),
                Taken::Nothing => {}
            }
            let Some(next) = self.late.next() else {
                return Poll::Pending; // The source is to wake it.
            };
            ready!(self.poll_until(cx, next));
        }
    }

    fn jittered(&mut self, delay: Duration, jitter: Duration) -> Duration {
        let most = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX / 2);
        let drawn = self.random.u64(0..=most.saturating_mul(2));
        (delay + Duration::from_nanos(drawn)).saturating_sub(Duration::from_nanos(most))
    }

    /// When the latest bytes were due: the delay of a late timer is made up for, a pause of the peer is
    /// not.
    fn on_schedule(&self) -> Instant {
        let now = Instant::now();
        match self.not_before {
            Some(due) if now.saturating_duration_since(due) <= CATCH_UP => due,
            _ => now,
        }
    }

    fn poll_not_before(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.not_before {
            Some(due) if due > Instant::now() => self.poll_until(cx, due),
            _ => Poll::Ready(()),
        }
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }

    fn fail(&mut self, kind: io::ErrorKind) -> Poll<io::Result<()>> {
        self.end_with(Err(kind.into()))
    }

    fn end_with(&mut self, end: io::Result<()>) -> Poll<io::Result<()>> {
        Poll::Ready(tell_end(self.end.insert(end)))
    }
}

/// Reads at most `most` bytes; returns the number read.
fn poll_some<I: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    io: &mut I,
    buf: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<usize>> {
    let most = most.min(buf.remaining());
    let mut some = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(Pin::new(io).poll_read(cx, &mut some))?;
    let n = some.filled().len();
    buf.advance(n);
    Poll::Ready(Ok(n))
}
