//! Ios that do what no socket does on demand.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use couplet_endpoint::{Io, Unanswered};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

// ===== Endless =====

/// Never waits: each read fills its buffer, until `limit` bytes were read; each write is taken
/// whole.
pub(crate) struct Endless {
    pub(crate) taken: Arc<AtomicU64>,
    limit: u64,
}

impl Endless {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }
}

impl Io for Endless {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }
}

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken.load(Ordering::Relaxed) < self.limit {
            let n = buf.remaining() as u64;
            self.taken.fetch_add(n, Ordering::Relaxed);
            buf.initialize_unfilled().fill(b'x');
            buf.set_filled(buf.capacity());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

// ===== Holding =====

/// Holds what is written to it until it is flushed, as a compressor does, and records the calls.
pub(crate) struct Holding<I> {
    io: I,
    held: Vec<u8>,
    /// When so much is held, it takes no more before it was flushed.
    room: usize,
    writer: Option<Waker>,
    calls: Arc<Mutex<Vec<Call>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    Write(usize),
    Flush,
    Shutdown,
}

impl<I> Holding<I> {
    pub(crate) fn new(io: I, room: usize) -> (Self, Arc<Mutex<Vec<Call>>>) {
        let calls = Arc::default();
        let this = Self {
            io,
            held: Vec::new(),
            room,
            writer: None,
            calls: Arc::clone(&calls),
        };
        (this, calls)
    }

    fn record(&self, call: Call) {
        self.calls.lock().expect("no holder panics").push(call);
    }
}

impl<I: Io> Io for Holding<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Holding<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Holding<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = buf.len().min(self.room - self.held.len());
        if n == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.record(Call::Write(n));
        self.held.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.held.is_empty() {
            let n = ready!(Pin::new(&mut this.io).poll_write(cx, &this.held))?;
            this.held.drain(..n);
        }
        this.record(Call::Flush);
        if let Some(writer) = this.writer.take() {
            writer.wake();
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Does not flush: what is held then is lost.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.record(Call::Shutdown);
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

// ===== Faulty =====

/// Does as the io within, until a fault is set.
pub(crate) struct Faulty<I> {
    io: I,
    faults: Faults,
}

/// The faults of a [`Faulty`], to be set while it is in use.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Set>>);

#[derive(Default)]
pub(crate) struct Set {
    pub(crate) read: Option<Fault>,
    pub(crate) write: Option<Fault>,
    pub(crate) shutdown: Option<Fault>,
    pub(crate) has_unsent: bool,
    /// When the system last sent something.
    pub(crate) sent: Option<Instant>,
    /// How often the peer's system was asked in vain, and when it last answered.
    pub(crate) unanswered: Option<(u32, Instant)>,
}

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Fails(io::ErrorKind),
    Pends,
    Panics,
    /// Nothing more is read, or taken.
    Ends,
}

impl<I> Faulty<I> {
    pub(crate) fn new(io: I) -> (Self, Faults) {
        let faults = Faults::default();
        let this = Self {
            io,
            faults: faults.clone(),
        };
        (this, faults)
    }
}

impl Faults {
    pub(crate) fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().expect("no holder panics")
    }
}

impl Fault {
    fn poll<T>(self) -> Poll<io::Result<T>> {
        match self {
            Self::Fails(kind) => Poll::Ready(Err(kind.into())),
            Self::Pends => Poll::Pending,
            Self::Panics => panic!("as the script says"),
            Self::Ends => unreachable!("a shutdown can't end"),
        }
    }
}

impl<I: Io> Io for Faulty<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn has_unsent(&mut self) -> bool {
        self.faults.set().has_unsent
    }

    fn sent_ago(&mut self) -> Option<Duration> {
        self.faults.set().sent.map(|sent| sent.elapsed())
    }

    fn unanswered(&mut self) -> Option<Unanswered> {
        let (tries, heard) = self.faults.set().unanswered?;
        Some(Unanswered {
            heard_ago: heard.elapsed(),
            tries,
        })
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Faulty<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let fault = self.faults.set().read;
        match fault {
            None => Pin::new(&mut self.io).poll_read(cx, buf),
            Some(Fault::Ends) => Poll::Ready(Ok(())),
            Some(fault) => fault.poll(),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Faulty<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let fault = self.faults.set().write;
        match fault {
            None => Pin::new(&mut self.io).poll_write(cx, buf),
            Some(Fault::Ends) => Poll::Ready(Ok(0)),
            Some(fault) => fault.poll(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let fault = self.faults.set().shutdown;
        match fault {
            None => Pin::new(&mut self.io).poll_shutdown(cx),
            Some(fault) => fault.poll(),
        }
    }
}
