//! The records on their way: those that have come, and those that are to go.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest record with its header (RFC 5246, section 6.2.3).
const LONGEST: usize = HEADER + 16 * 1024 + 2048;

/// Length of a record's header: its type, a version, and the length of what follows.
const HEADER: usize = 5;

/// The size of a buffer: four of the longest records. A handshake message is not longer, either.
const SIZE: usize = 4 * LONGEST;

/// So few bytes leave their buffer when they have to wait.
const FEW: usize = SIZE / 2;

/// How many unused buffers a thread keeps: of what one connection reads, and another writes.
const KEEP: usize = 2;

thread_local! {
    static UNUSED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes in a buffer. Without bytes it holds none.
#[derive(Default)]
struct Held {
    /// Of [`SIZE`] and shared by all connections of a thread, or as long as the bytes that wait.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// Records that have come, of which the last may not be whole.
#[derive(Default)]
pub(super) struct Incoming {
    held: Held,
    /// So many of the bytes the session has seen and left: it waits for those behind.
    seen: usize,
}

/// Records that are to go.
#[derive(Default)]
pub(super) struct Outgoing(Held);

// ===== impl Held =====

impl Held {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn filled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Moves the bytes to the beginning of a whole buffer.
    fn make_room(&mut self) {
        if self.bytes.len() < SIZE {
            let unused = UNUSED.with_borrow_mut(Vec::pop);
            let mut whole = unused.unwrap_or_else(|| vec![0; SIZE]);
            whole[..self.len()].copy_from_slice(self.filled());
            self.bytes = whole;
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
        }
        self.end = self.len();
        self.start = 0;
    }

    /// Gives the buffer back, unless many bytes wait in it.
    fn settle(&mut self) {
        if self.bytes.len() >= SIZE && self.len() <= FEW {
            let left = self.filled().to_vec();
            self.end = left.len();
            self.start = 0;
            give_back(std::mem::replace(&mut self.bytes, left));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

fn give_back(bytes: Vec<u8>) {
    if bytes.len() == SIZE {
        // When the thread is ending, so is its pool.
        let _ = UNUSED.try_with(|unused| {
            let mut unused = unused.borrow_mut();
            if unused.len() < KEEP {
                unused.push(bytes);
            }
        });
    }
}

// ===== impl Incoming =====

impl Incoming {
    pub(super) fn is_empty(&self) -> bool {
        self.held.len() == 0
    }

    /// All that has come.
    pub(super) fn all(&mut self) -> &mut [u8] {
        self.held.filled()
    }

    /// What the session has seen and left. It must be given that much each time.
    pub(super) fn seen(&mut self) -> &mut [u8] {
        &mut self.held.filled()[..self.seen]
    }

    /// The session is done with the first `n` bytes. Of the others it has seen all if it `waits`, or else none.
    pub(super) fn discard(&mut self, n: usize, waits: bool) {
        self.held.start += n;
        self.seen = if waits { self.held.len() } else { 0 };
    }

    /// Is the next record whole, and fits into so many bytes?
    pub(super) fn has_record_within(&mut self, room: usize) -> bool {
        match *self.held.filled() {
            [_, _, _, high, low, ref behind @ ..] => {
                let len = usize::from(u16::from_be_bytes([high, low]));
                len <= behind.len() && len <= room
            }
            _ => false,
        }
    }

    /// Reads once; returns how many bytes came. While the read is pending, only what waits is held.
    pub(super) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<usize>> {
        let held = &mut self.held;
        held.make_room();
        let mut space = ReadBuf::new(&mut held.bytes[held.end..]);
        if space.remaining() == 0 {
            let error = "a message of TLS is longer than 64 KiB";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let read = Pin::new(from).poll_read(cx, &mut space);
        let n = space.filled().len();
        held.end += n;
        if n == 0 {
            held.settle();
        }
        read.map_ok(|()| n)
    }
}

// ===== impl Outgoing =====

impl Outgoing {
    /// What is to go.
    pub(super) fn all(&mut self) -> &mut [u8] {
        self.0.filled()
    }

    /// Room for more, so many bytes at least.
    pub(super) fn room(&mut self, least: usize) -> &mut [u8] {
        let held = &mut self.0;
        held.make_room();
        if held.bytes.len() < held.end + least {
            held.bytes.resize(held.end + least, 0);
        }
        &mut held.bytes[held.end..]
    }

    /// So many bytes were put into the room.
    pub(super) fn add(&mut self, n: usize) {
        self.0.end += n;
    }

    /// Writes all of it.
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        let held = &mut self.0;
        while held.len() > 0 {
            let Poll::Ready(written) = Pin::new(&mut *to).poll_write(cx, held.filled()) else {
                held.settle();
                return Poll::Pending;
            };
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => held.start += n,
            }
        }
        held.settle();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use couplet_endpoint::memory;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_test::{assert_pending, assert_ready_ok, task};

    use super::*;

    fn unused() -> usize {
        UNUSED.with_borrow(Vec::len)
    }

    #[tokio::test]
    async fn what_waits_holds_as_many_bytes_as_it_has() {
        let (mut peer, mut io) = memory::connection(SIZE);
        let mut incoming = Incoming::default();
        let mut fill = |incoming: &mut Incoming| {
            task::spawn(poll_fn(|cx| incoming.poll_fill(cx, &mut io))).poll()
        };
        assert_pending!(fill(&mut incoming));
        assert_eq!((incoming.held.bytes.capacity(), unused()), (0, 1));

        peer.write_all(&[23, 3, 3, 0, 9, 1, 2]).await.unwrap();
        assert_eq!(assert_ready_ok!(fill(&mut incoming)), 7);
        assert_eq!(unused(), 0);
        assert_pending!(fill(&mut incoming));
        assert_eq!((incoming.held.bytes.capacity(), unused()), (7, 1));

        peer.write_all(&[3, 4, 5, 6, 7, 8, 9]).await.unwrap();
        assert_eq!(assert_ready_ok!(fill(&mut incoming)), 7);
        assert_eq!(incoming.all()[5..], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(incoming.has_record_within(9));
        assert!(!incoming.has_record_within(8));
        incoming.discard(14, false);
        assert!(incoming.is_empty());
        drop(incoming);
        assert_eq!(unused(), 1);
    }

    #[tokio::test]
    async fn what_does_not_go_stays_in_order() {
        let (mut peer, mut io) = memory::connection(4);
        let mut outgoing = Outgoing::default();
        let mut sent = Vec::new();
        for text in [&b"012345"[..], b"6789", b"abcdefgh"] {
            outgoing.room(text.len())[..text.len()].copy_from_slice(text);
            outgoing.add(text.len());
            let sending = poll_fn(|cx| outgoing.poll_send(cx, &mut io));
            let _ = task::spawn(sending).poll();
            let mut come = [0; 4];
            peer.read_exact(&mut come).await.unwrap();
            sent.extend(come);
        }
        assert!(outgoing.0.bytes.len() < SIZE);
        while !outgoing.all().is_empty() {
            let sending = poll_fn(|cx| outgoing.poll_send(cx, &mut io));
            let _ = task::spawn(sending).poll();
            sent.push(peer.read_u8().await.unwrap());
        }
        drop(io);
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"0123456789abcdefgh");
    }

    #[test]
    fn what_is_longer_than_a_buffer_has_room() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.room(2 * SIZE).len() >= 2 * SIZE);
        outgoing.add(2 * SIZE);
        assert_eq!(outgoing.all().len(), 2 * SIZE);
        drop(outgoing);
        assert_eq!(unused(), 0);
    }
}
