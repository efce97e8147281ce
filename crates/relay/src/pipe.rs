//! The pipes that bytes are spliced through, shared by all pairs of a thread: splice(2), pipe(7).

use std::{
    cell::RefCell,
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
};

use couplet_endpoint::io::Socket;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::io::Interest;

/// How much a pipe is to hold; the kernel may grant less.
const SIZE: usize = 1024 * 1024;

/// How many empty ones a thread keeps. Unprivileged users may have 64 MiB of pipes in all.
const KEEP: usize = 8;

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// How many are open in the process.
static OPEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static EMPTY: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// A pipe with bytes in it that wait to be written. A direction owns one only while they do.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// `None` only while it is being dropped.
    ends: Option<Ends>,
    /// How many bytes are in it.
    len: u32,
}

/// What came of filling a pipe.
#[derive(Debug)]
pub(crate) enum Fill {
    /// These bytes.
    Bytes(Pipe),
    /// Nothing, though a read would not block: it must tell what comes next. That is the end of the
    /// stream, or urgent data (`MSG_OOB`), which splice(2) stops before, and calls an end.
    Stopped,
    /// Nothing: the system gives no pipe, or the kernel does not splice from such a socket.
    Refused,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// The number of pipes that bytes are spliced through in this process, of all relays together: those with bytes in
/// them, and up to 8 empty ones of each thread. Each has two file descriptors.
pub fn open_pipes() -> u64 {
    OPEN.load(Ordering::Relaxed)
}

// ===== impl Pipe =====

impl Pipe {
    /// Splices once from a socket into an empty pipe, this many bytes at most. While nothing is there,
    /// no pipe is held.
    ///
    /// Only an empty pipe is ever filled: so `WouldBlock` can only mean that the socket is dry, and
    /// its readiness may be cleared.
    pub(crate) fn poll_fill(
        cx: &mut Context<'_>,
        from: Socket<'_>,
        most: u32,
    ) -> Poll<io::Result<Fill>> {
        let most = SIZE.min(most as usize);
        ready!(from.poll_read_ready(cx))?;
        let Ok(mut pipe) = Self::borrow() else {
            return Poll::Ready(Ok(Fill::Refused));
        };
        loop {
            let ends = pipe.ends();
            let filled = from.try_move(Interest::READABLE, || {
                match splice(from, None, &ends.write, None, most, FLAGS) {
                    Err(Errno::AGAIN) if has_more(from) => Ok(0),
                    result => Ok(result?),
                }
            });
            return Poll::Ready(match filled {
                Ok(0) => Ok(Fill::Stopped),
                Ok(n) => {
                    pipe.len = u32::try_from(n).expect("a pipe is smaller than 4 GiB");
                    Ok(Fill::Bytes(pipe))
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        ready!(from.poll_read_ready(cx))?;
                        continue;
                    }
                    io::ErrorKind::InvalidInput => Ok(Fill::Refused),
                    _ => Err(error),
                },
            });
        }
    }

    /// Splices once into a socket, this many bytes at most; returns how many went. It must not be
    /// [drained](Self::is_drained).
    pub(crate) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        into: Socket<'_>,
        most: u32,
    ) -> Poll<io::Result<u32>> {
        // What follows at once need not be sent apart.
        let flags = match most < self.len {
            true => FLAGS | SpliceFlags::MORE,
            false => FLAGS,
        };
        loop {
            ready!(into.poll_write_ready(cx))?;
            let ends = self.ends();
            let drained = into.try_move(Interest::WRITABLE, || {
                Ok(splice(&ends.read, None, into, None, most as usize, flags)?)
            });
            match drained {
                // It must not spin, whatever the kernel does.
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    let n = u32::try_from(n).expect("a pipe is smaller than 4 GiB");
                    self.len -= n;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// How many bytes wait in it.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.len == 0
    }

    fn borrow() -> io::Result<Self> {
        let ends = match EMPTY.with_borrow_mut(Vec::pop) {
            Some(ends) => ends,
            None => Ends::new()?,
        };
        Ok(Self {
            ends: Some(ends),
            len: 0,
        })
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("the pipe is not being dropped")
    }
}

/// Is there something to read, from which splice(2) took nothing? For an end of stream, too.
fn has_more(socket: Socket<'_>) -> bool {
    let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(socket, &mut [0_u8; 1], peek).is_ok()
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // What one pair left in it is never seen by the next: such a pipe is closed.
        if self.len == 0
            && let Some(ends) = self.ends.take()
        {
            // When the thread is ending, so is its pool.
            let _ = EMPTY.try_with(|empty| {
                let mut empty = empty.borrow_mut();
                if empty.len() < KEEP {
                    empty.push(ends);
                }
            });
        }
    }
}

// ===== impl Ends =====

impl Ends {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Where the user's pipes are used up it stays as small as it is, and works.
        let _ = fcntl_setpipe_size(&write, SIZE);
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Self { read, write })
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::UnixStream;

    use super::*;

    /// A kernel that takes nothing, and does not say that it would block: the same as an empty pipe whose
    /// writer has gone.
    #[tokio::test]
    async fn a_splice_that_moves_nothing_is_an_error_and_no_endless_loop() {
        let mut ends = Ends::new().unwrap();
        ends.read = pipe_with(PipeFlags::NONBLOCK).unwrap().0;
        let mut pipe = Pipe {
            ends: Some(ends),
            len: 5,
        };
        let (into, _peer) = UnixStream::pair().unwrap();
        let drained = poll_fn(|cx| pipe.poll_drain(cx, Socket::unix(&into), 5)).await;
        assert_eq!(drained.unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(pipe.len(), 5);
        // It is not used again.
        EMPTY.with_borrow_mut(Vec::clear);
        drop(pipe);
        EMPTY.with_borrow(|empty| assert!(empty.is_empty()));
    }
}
