//! A carrier's connection as yamux takes it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

use super::{frames::Frames, turns::Turns, unread::Unread};

/// What is read from the carrier at a time, and written to it: as much as TLS encrypts at once.
const BUFFER: usize = 64 * 1024;

/// What is read in one turn: it is still in the processor's caches when the streams have theirs.
const TURN: usize = 256 * 1024;

/// The connection of a carrier. Its drop is an orderly end, unless the carrier is given up: what was cut is
/// known of each stream.
pub(super) struct Carried<I: Io> {
    io: BufReader<I>,
    signs: Arc<Signs>,
    come: Frames,
    unread: Arc<Unread>,
    go: Frames,
    turns: Arc<Turns>,
    /// What is to be written, of which so much was.
    out: (Vec<u8>, usize),
    /// Something was written since a flush was asked for.
    has_more: bool,
    /// What may be read before the streams have their turn.
    left: usize,
}

/// What the carrier's driver and its connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Something came since this was last taken.
    heard: AtomicBool,
    /// Nothing that is still to be sent is worth a wait.
    given_up: AtomicBool,
    /// The connection has ended, and yamux said nothing of that before.
    ended: AtomicBool,
    /// The connection takes nothing more for now.
    is_full: AtomicBool,
}

// ===== impl Signs =====

impl Signs {
    pub(super) fn take_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

// ===== impl Carried =====

impl<I: Io> Carried<I> {
    pub(super) fn new(io: I, signs: Arc<Signs>, unread: Arc<Unread>, turns: Arc<Turns>) -> Self {
        Self {
            io: BufReader::with_capacity(BUFFER, io),
            signs,
            come: Frames::default(),
            unread,
            go: Frames::default(),
            turns,
            out: (Vec::with_capacity(BUFFER), 0),
            has_more: false,
            left: TURN,
        }
    }

    /// Writes all there is.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (out, written) = &mut self.out;
        while *written < out.len() {
            match ready!(Pin::new(self.io.get_mut()).poll_write(cx, &out[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => *written += n,
            }
        }
        out.clear();
        *written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> Drop for Carried<I> {
    fn drop(&mut self) {
        self.unread.end();
        self.turns.end();
        let io = self.io.get_mut();
        match self.signs.given_up.load(Ordering::Relaxed) {
            true => io.abort(),
            false => io.shut_by_drop(),
        }
    }
}

impl<I: Io> futures::io::AsyncRead for Carried<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.left == 0 {
            this.left = TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // The carrier is polled to read whenever it is woken.
        let _ = this.io.get_mut().poll_upkeep(cx);
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut buf))?;
        let sign = match buf.filled().is_empty() {
            false => &this.signs.heard,
            true => &this.signs.ended,
        };
        sign.store(true, Ordering::Relaxed);
        this.left = this.left.saturating_sub(buf.filled().len());
        let mut comes = Ok(());
        this.come.follow(buf.filled(), |data| {
            if comes.is_ok() {
                comes = this.unread.comes(data);
            }
        });
        Poll::Ready(comes.map(|()| buf.filled().len()))
    }
}

impl<I: Io> futures::io::AsyncWrite for Carried<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let is_full = this.out.0.len() == BUFFER && this.poll_send(cx)?.is_pending();
        this.signs.is_full.store(is_full, Ordering::Relaxed);
        if is_full {
            return Poll::Pending;
        }
        let n = buf.len().min(BUFFER - this.out.0.len());
        this.out.0.extend_from_slice(&buf[..n]);
        this.go.follow(&buf[..n], |data| this.turns.left(data));
        this.has_more = true;
        Poll::Ready(Ok(n))
    }

    /// yamux flushes behind each frame, and is polled again here first: what other streams have to say meanwhile
    /// leaves with it.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_more) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::memory;
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::mux::unread::Bound;

    #[tokio::test]
    async fn frames_of_several_streams_leave_together() {
        let (near, mut far) = memory::connection(1024);
        let unread = Arc::new(Unread::new(Bound::new(1024)));
        let mut carried = Carried::new(near, Arc::default(), unread, Arc::default());
        let mut heard = [0; 6];
        for frame in [b"one", b"two"] {
            carried.write_all(frame).await.unwrap();
            carried.flush().await.unwrap();
            assert!(far.read(&mut heard).now_or_never().is_none());
        }
        // Nothing has come since.
        carried.flush().await.unwrap();
        let n = far.read(&mut heard).now_or_never().unwrap().unwrap();
        assert_eq!(&heard[..n], b"onetwo");
    }

    #[tokio::test]
    async fn what_comes_without_end_is_read_in_turns() {
        let (near, mut far) = memory::connection(4 * TURN);
        let unread = Arc::new(Unread::new(Bound::new(1024)));
        let mut carried = Carried::new(near, Arc::default(), unread, Arc::default());
        AsyncWriteExt::write_all(&mut far, &vec![0; 2 * TURN])
            .await
            .unwrap();
        let mut heard = vec![0; TURN];
        carried.read_exact(&mut heard).await.unwrap();
        let mut reading = tokio_test::task::spawn(carried.read_exact(&mut heard));
        assert!(reading.poll().is_pending());
        assert!(reading.is_woken(), "there is more");
        assert!(reading.poll().is_ready());
    }
}
