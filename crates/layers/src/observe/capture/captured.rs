use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

#[cfg(unix)]
use couplet_endpoint::io::Socket;
use couplet_endpoint::{Io, Side};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conversation::Conversation;

/// An [`Io`] of which is captured what is read: what [`CaptureLayer`](super::CaptureLayer) makes of
/// each of a pair's. Writes go straight through.
#[derive(Debug)]
pub struct Captured<I> {
    io: I,
    from: Side,
    conversation: Option<Arc<Mutex<Conversation>>>,
}

// ===== impl Captured =====

impl<I> Captured<I> {
    pub(super) const fn new(
        io: I,
        from: Side,
        conversation: Option<Arc<Mutex<Conversation>>>,
    ) -> Self {
        Self {
            io,
            from,
            conversation,
        }
    }

    fn conversation(&self) -> Option<MutexGuard<'_, Conversation>> {
        let conversation = self.conversation.as_ref()?;
        // Both directions are one task's: nobody waits here.
        Some(conversation.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<I: Io> Io for Captured<I> {
    fn abort(&mut self) {
        self.io.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        let error = self.io.take_error();
        // No read will tell of it any more.
        if let (Some(mut conversation), Some(error)) = (self.conversation(), &error) {
            conversation.failed(self.from, error);
        }
        error
    }

    fn has_unsent(&mut self) -> bool {
        self.io.has_unsent()
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.conversation() {
            Some(conversation) if !conversation.is_over(self.from) => None,
            _ => self.io.splice_source(),
        }
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Captured<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if let Some(mut conversation) = self.conversation() {
            match &result {
                Ok(()) if buf.filled().len() > before => {
                    conversation.data(self.from, &buf.filled()[before..]);
                }
                Ok(()) if buf.remaining() > 0 => conversation.ended(self.from),
                // Nothing came because nothing was asked for.
                Ok(()) => {}
                Err(error) => conversation.failed(self.from, error),
            }
        }
        Poll::Ready(result)
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Captured<I>, io);
