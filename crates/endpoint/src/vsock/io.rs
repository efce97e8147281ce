use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    io::{Gone, Io, Socket},
    polled::Polled,
};

/// A connection of [`VsockListen`](super::VsockListen) or [`VsockDial`](super::VsockDial).
///
/// **It has no reset:** one that is aborted is closed, and its peer reads an end of stream.
#[derive(Debug)]
pub struct VsockIo(Polled);

// ===== impl VsockIo =====

impl VsockIo {
    pub(super) fn new(socket: socket2::Socket) -> io::Result<Self> {
        Polled::both_ways(socket.into()).map(Self)
    }

    pub(super) const fn polled(&self) -> &Polled {
        &self.0
    }
}

impl Io for VsockIo {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    fn take_error(&mut self) -> Option<io::Error> {
        SockRef::from(&self.0).take_error().ok().flatten()
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self
            .0
            .poll_read_with(cx, |socket| SockRef::from(socket).peek(&mut byte));
        match peeked {
            Poll::Ready(Ok(0)) => Poll::Ready(Gone::Ended),
            Poll::Ready(Err(_)) => Poll::Ready(Gone::Failed),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        self.0.spliced()
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.0.spliced()
    }
}

impl AsyncRead for VsockIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

#[warn(clippy::missing_trait_methods)]
impl AsyncWrite for VsockIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.0.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    /// A socket holds nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.shut_down() {
            // The peer has closed the connection.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}
