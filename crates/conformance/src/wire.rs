use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use couplet_endpoint::{
    Io,
    memory::{self, MemoryStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How much a wire holds each way.
pub(super) const WIRE: usize = 64 * 1024;

/// The end of a wire: a connection that cuts what goes through it.
#[derive(Debug)]
pub(super) struct Wire {
    io: MemoryStream,
    /// Of reads, and of writes.
    cuts: [Cut; 2],
    /// It has stalled, and does not again before something went: or two that stall in turn would wake
    /// each other for ever, and no time would pass.
    stalled: [bool; 2],
    wait: Option<Pin<Box<Sleep>>>,
    open: Arc<()>,
}

/// How bytes are cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// As they come.
    Not,
    /// One at a time, with a stall before each.
    Single,
    /// At random, with stalls between; this is the state of the generator, not 0.
    Random(u64),
    /// Only what has gathered while nothing else goes on is read, at once.
    Gathered,
}

// ===== impl Wire =====

impl Wire {
    pub(super) fn pair(cut: Cut) -> (Self, Self) {
        let (one, two) = memory::connection(WIRE);
        let end = |io| Self {
            io,
            cuts: [cut; 2],
            stalled: [false; 2],
            wait: None,
            open: Arc::new(()),
        };
        (end(one), end(two))
    }

    /// Tells whether this end is still held.
    pub(super) fn watch(&self) -> Weak<()> {
        Arc::downgrade(&self.open)
    }

    /// How many bytes go at once.
    fn poll_cut(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<usize> {
        let (stall, bytes) = match &mut self.cuts[usize::from(!read)] {
            Cut::Gathered if read => {
                let wait = self
                    .wait
                    .get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(1))));
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
                return Poll::Ready(usize::MAX);
            }
            Cut::Not | Cut::Gathered => return Poll::Ready(usize::MAX),
            Cut::Single => (true, 1),
            Cut::Random(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                (*state % 4 == 0, 1 + (*state >> 32) as usize % 3000)
            }
        };
        let stalled = &mut self.stalled[usize::from(!read)];
        match stall && !*stalled {
            true => {
                *stalled = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            false => Poll::Ready(bytes),
        }
    }
}

impl Io for Wire {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.poll_cut(cx, true)).min(buf.remaining());
        let mut piece = vec![0; bytes];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
        self.stalled[0] = false;
        buf.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(self.poll_cut(cx, false)).min(bytes.len());
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, &bytes[..n]))?;
        self.stalled[1] = false;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
