//! [`Polled`]: a descriptor that the runtime waits for.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::fs::{FileType, Mode, OFlags};
use socket2::SockRef;
use tokio::io::{Interest, ReadBuf, unix::AsyncFd};

use crate::io::Socket;

/// A descriptor of a pipe, a terminal or a socket, which does not block.
#[derive(Debug)]
pub(crate) struct Polled {
    fd: AsyncFd<OwnedFd>,
    kind: FileType,
}

// ===== impl Polled =====

impl Polled {
    /// For reading; `None` where it can't be waited for.
    pub(crate) fn reader(of: &OwnedFd) -> io::Result<Option<Self>> {
        Self::open(of, OFlags::RDONLY, Interest::READABLE)
    }

    /// For writing, likewise.
    pub(crate) fn writer(of: &OwnedFd) -> io::Result<Option<Self>> {
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
        Ok(Self::wait_for(fd, kind, interest))
    }

    /// Our end of a pipe that has no other user on this side.
    pub(crate) fn pipe(fd: OwnedFd, interest: Interest) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&fd, rustix::fs::fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        let polled = Self::wait_for(fd, FileType::Fifo, interest);
        polled.ok_or_else(|| io::Error::other("the runtime can't wait for a pipe"))
    }

    /// A socket that does not block.
    #[cfg(target_os = "linux")]
    pub(crate) fn both_ways(fd: OwnedFd) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        Ok(Self {
            fd: async_fd(fd, interest)?,
            kind: FileType::Socket,
        })
    }

    #[cfg(target_os = "linux")]
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.fd.writable().await?.retain_ready();
        Ok(())
    }

    /// What a system call that reads makes of it, once it does not block.
    #[cfg(target_os = "linux")]
    pub(crate) fn poll_read_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&OwnedFd) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            if let Ok(done) = ready.try_io(|fd| call(fd.get_ref())) {
                return Poll::Ready(done);
            }
        }
    }

    fn wait_for(fd: OwnedFd, kind: FileType, interest: Interest) -> Option<Self> {
        // What can't be waited for, as /dev/null, is EPERM.
        let fd = async_fd(fd, interest | Interest::ERROR);
        fd.ok().map(|fd| Self { fd, kind })
    }

    /// A terminal can't be spliced from or to in all cases, and carries little.
    pub(crate) fn spliced(&self) -> Option<Socket<'_>> {
        (self.kind != FileType::CharacterDevice).then(|| Socket::descriptor(&self.fd))
    }

    pub(crate) fn poll_read(
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

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, buf)?)) {
                return Poll::Ready(written);
            }
        }
    }

    /// Ends the stream of a socket; that of a pipe ends when it is closed.
    pub(crate) fn shut_down(&self) -> io::Result<()> {
        match self.kind {
            FileType::Socket => {
                SockRef::from(&self.fd.get_ref().as_fd()).shutdown(std::net::Shutdown::Write)
            }
            _ => Ok(()),
        }
    }

    /// The number of bytes in a pipe that are not read yet.
    pub(crate) fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.fd).unwrap_or(0)
    }

    /// The coming close resets a TCP connection.
    pub(crate) fn abort(&self) {
        if self.kind == FileType::Socket {
            let _ = SockRef::from(&self.fd.get_ref().as_fd()).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsFd for Polled {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

#[expect(
    deprecated,
    reason = "the one in its place is unsafe, for types that change their descriptor"
)]
pub(crate) fn async_fd(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

fn file_type(fd: &impl AsFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}
