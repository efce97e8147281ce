use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;

/// Makes an [`Io`] of any stream of bytes; it is never spliced, and dropping it is its only close.
#[derive(Clone, Debug)]
pub struct Opaque<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for Opaque<T> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opaque<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

crate::forward_async_write!(impl[T: AsyncWrite + Unpin] for Opaque<T>, 0);
