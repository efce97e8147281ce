//! The copy buffers, shared by all pairs of a thread.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The size of a copy buffer.
pub(crate) const SIZE: usize = 64 * 1024;

/// How many unused ones a thread keeps. A thread moves one piece at a time, and what is stuck leaves its
/// buffer, so more would only be memory kept.
const KEEP: usize = 1;

/// So few bytes leave their buffer when they are stuck.
const FEW: u32 = 32 * 1024;

thread_local! {
    static UNUSED: RefCell<Vec<Box<Bytes>>> = const { RefCell::new(Vec::new()) };
}

type Bytes = [u8; SIZE];

/// A buffer with bytes in it that wait to be written. A direction owns one only while they do.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// `None` only while it is being dropped.
    bytes: Option<Box<Bytes>>,
    start: u32,
    end: u32,
}

/// Bytes that are stuck: the sink takes no more, and may not for long. They hold their own number, and no
/// buffer. Boxed, because most directions never have some.
#[derive(Debug)]
pub(crate) struct Stuck(Box<Rest>);

#[derive(Debug)]
struct Rest {
    bytes: Box<[u8]>,
    start: usize,
}

// ===== impl Buffer =====

impl Buffer {
    /// Reads once into a buffer, this many bytes at most; `None` at the end of the stream. While the
    /// read is pending, no buffer is held.
    pub(crate) fn poll_read<R: AsyncRead + Unpin>(
        cx: &mut Context<'_>,
        from: &mut R,
        most: u32,
    ) -> Poll<io::Result<Option<Self>>> {
        let mut buffer = Self::borrow();
        let most = SIZE.min(most as usize);
        let mut unfilled = ReadBuf::new(&mut buffer.bytes()[..most]);
        ready!(Pin::new(from).poll_read(cx, &mut unfilled))?;
        let n = unfilled.filled().len();
        buffer.end = u32::try_from(n).expect("a buffer is smaller than 4 GiB");
        Poll::Ready(Ok((n > 0).then_some(buffer)))
    }

    /// Writes once; returns how many bytes went. It must not be [drained](Self::is_drained).
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<u32>> {
        let (start, end) = (self.start as usize, self.end as usize);
        let n = ready!(poll_write(cx, to, &self.bytes()[start..end]))?;
        self.start += n;
        Poll::Ready(Ok(n))
    }

    /// What waits in it.
    pub(crate) fn filled(&self) -> &[u8] {
        let bytes = self
            .bytes
            .as_ref()
            .expect("the buffer is not being dropped");
        &bytes[self.start as usize..self.end as usize]
    }

    /// How many bytes wait in it.
    pub(crate) fn len(&self) -> u32 {
        self.end - self.start
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.start == self.end
    }

    /// Its bytes without the buffer, if they are few.
    pub(crate) fn stuck(&mut self) -> Option<Stuck> {
        if self.len() > FEW {
            return None;
        }
        let (start, end) = (self.start as usize, self.end as usize);
        let bytes = self.bytes()[start..end].into();
        Some(Stuck(Box::new(Rest { bytes, start: 0 })))
    }

    fn borrow() -> Self {
        let bytes = UNUSED.with_borrow_mut(Vec::pop);
        Self {
            bytes: Some(bytes.unwrap_or_else(zeroed)),
            start: 0,
            end: 0,
        }
    }

    fn bytes(&mut self) -> &mut Bytes {
        self.bytes
            .as_mut()
            .expect("the buffer is not being dropped")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(bytes) = self.bytes.take() else {
            return;
        };
        // When the thread is ending, so is its pool.
        let _ = UNUSED.try_with(|unused| {
            let mut unused = unused.borrow_mut();
            if unused.len() < KEEP {
                unused.push(bytes);
            }
        });
    }
}

// ===== impl Stuck =====

impl Stuck {
    /// Writes once; returns how many bytes went. There must be some left.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<u32>> {
        let Rest { bytes, start } = &mut *self.0;
        let n = ready!(poll_write(cx, to, &bytes[*start..]))?;
        *start += n as usize;
        Poll::Ready(Ok(n))
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.0.bytes.len() - self.0.start).expect("they fitted into a buffer")
    }
}

fn poll_write<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    to: &mut W,
    bytes: &[u8],
) -> Poll<io::Result<u32>> {
    let n = ready!(Pin::new(to).poll_write(cx, bytes))?;
    if n == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    let n = u32::try_from(n).expect("a buffer is smaller than 4 GiB");
    Poll::Ready(Ok(n))
}

/// Made on the heap, where an array literal would pass by the stack.
fn zeroed() -> Box<Bytes> {
    let bytes = vec![0; SIZE].into_boxed_slice().try_into();
    bytes.expect("the vector is as long as a buffer")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use couplet_endpoint::memory;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn unused() -> usize {
        UNUSED.with_borrow(Vec::len)
    }

    #[tokio::test]
    async fn no_buffer_is_held_while_a_read_is_pending() {
        let (mut peer, mut io) = memory::connection(SIZE);
        let mut reading = tokio_test::task::spawn(poll_fn(|cx| Buffer::poll_read(cx, &mut io, 1)));
        assert!(reading.poll().is_pending());
        assert_eq!(unused(), 1);
        peer.write_all(b"x").await.unwrap();
        let held = reading.await.unwrap();
        assert_eq!(unused(), 0);
        drop(held);
        assert_eq!(unused(), 1);
    }

    #[tokio::test]
    async fn few_bytes_that_are_stuck_hold_no_buffer_and_arrive() {
        let (mut peer, mut io) = memory::connection(SIZE);
        let (mut other_peer, mut other) = memory::connection(4);
        peer.write_all(b"0123456789").await.unwrap();
        let mut held = poll_fn(|cx| Buffer::poll_read(cx, &mut io, 10)).await;
        let buffer = held.as_mut().unwrap().as_mut().unwrap();
        let n = poll_fn(|cx| buffer.poll_write(cx, &mut other))
            .await
            .unwrap();
        assert_eq!(n, 4);
        let mut stuck = buffer.stuck().unwrap();
        drop(held);
        assert_eq!((unused(), stuck.len()), (1, 6));
        let mut arrived = [0; 10];
        for range in [0..4, 4..8, 8..10] {
            other_peer.read_exact(&mut arrived[range]).await.unwrap();
            if stuck.len() > 0 {
                let n = poll_fn(|cx| stuck.poll_write(cx, &mut other)).await;
                assert!(n.unwrap() > 0);
            }
        }
        assert_eq!((&arrived, stuck.len()), (b"0123456789", 0));
    }

    #[tokio::test]
    async fn many_bytes_that_are_stuck_stay_in_their_buffer() {
        let (mut peer, mut io) = memory::connection(SIZE);
        peer.write_all(&[0; SIZE]).await.unwrap();
        let mut held = poll_fn(|cx| Buffer::poll_read(cx, &mut io, u32::MAX)).await;
        assert!(held.as_mut().unwrap().as_mut().unwrap().stuck().is_none());
    }

    #[test]
    fn a_thread_keeps_few_buffers() {
        let many: Vec<_> = (0..2 * KEEP).map(|_| Buffer::borrow()).collect();
        drop(many);
        assert_eq!(unused(), KEEP);
    }
}
