use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::fs::{FileType, Mode, OFlags};
use socket2::SockRef;
use tokio::io::{Interest, ReadBuf, unix::AsyncFd};

use super::file_type;
use crate::io::Socket;

/// A descriptor that the runtime waits for: of a pipe, a terminal or a socket.
#[derive(Debug)]
pub(super) struct Polled {
    fd: AsyncFd<OwnedFd>,
    kind: FileType,
}

// ===== impl Polled =====

impl Polled {
    /// For reading; `None` where it can't be waited for.
    pub(super) fn reader(of: &OwnedFd) -> io::Result<Option<Self>> {
        Self::open(of, OFlags::RDONLY, Interest::READABLE)
    }

    /// For writing, likewise.
    pub(super) fn writer(of: &OwnedFd) -> io::Result<Option<Self>> {
        Self::open(of, OFlags::WRONLY, Interest::WRITABLE)
    }

    fn open(of: &OwnedFd, access: OFlags, interest: Interest) -> io::Result<Option<Self>> {
        let kind = file_type(of)?;
        let fd = match kind {
            FileType::Socket => {
                SockRef::from(of).set_nonblocking(true)?;
                of.try_clone()?
            }
            // Not the description that the shell shares, but one of our own.
            FileType::Fifo | FileType::CharacterDevice => {
                let path = format!("/proc/self/fd/{}", of.as_raw_fd());
                let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                match rustix::fs::open(path, flags, Mode::empty()) {
                    Ok(fd) => fd,
                    Err(_) => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        // What can't be waited for, as /dev/null, is EPERM.
        #[expect(
            deprecated,
            reason = "the one in its place is unsafe, for types that change their descriptor"
        )]
        let fd = AsyncFd::with_interest(fd, interest | Interest::ERROR);
        Ok(fd.ok().map(|fd| Self { fd, kind }))
    }

    /// A terminal can't be spliced from or to in all cases, and carries little.
    pub(super) fn spliced(&self) -> Option<Socket<'_>> {
        (self.kind != FileType::CharacterDevice).then(|| Socket::descriptor(&self.fd))
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd, buf.initialize_unfilled())?));
            if let Ok(read) = read {
                buf.advance(read?);
                return Poll::Ready(Ok(()));
            }
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, buf)?)) {
                return Poll::Ready(written);
            }
        }
    }

    /// Ends the stream of a socket; that of a pipe ends when it is closed.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match self.kind {
            FileType::Socket => {
                SockRef::from(&self.fd.get_ref().as_fd()).shutdown(std::net::Shutdown::Write)
            }
            _ => Ok(()),
        }
    }

    /// The coming close resets a TCP connection.
    pub(super) fn abort(&self) {
        if self.kind == FileType::Socket {
            let _ = SockRef::from(&self.fd.get_ref().as_fd()).set_linger(Some(Duration::ZERO));
        }
    }
}
