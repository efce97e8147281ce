use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Gone, Io, Probe, Socket};
use crate::{QuietTimer, SocketOptions};

/// What a [`Dial`](crate::Dial) that [defers options](crate::Dial::defer_options) has not set on the
/// socket, in the extensions of the connection: a [`LateOptions`] sets it.
#[derive(Clone, Copy, Debug)]
pub struct DeferredOptions(SocketOptions);

/// Sets the options of a dialled socket that matter only to a connection that lives, once it has lived
/// for a second: five system calls less for a connection that does not.
///
/// Stands below all layers of a side, around the socket. Looks at the time when it is read, written or
/// flushed, and wakes the task that did so last. Costs one timer, until the options are set, and keeps
/// splice.
#[derive(Debug)]
pub struct LateOptions<I> {
    io: I,
    /// Boxed, and gone with the first second.
    unset: Option<Pin<Box<Unset>>>,
}

#[pin_project]
#[derive(Debug)]
struct Unset {
    #[pin]
    timer: QuietTimer,
    options: DeferredOptions,
}

/// How old a connection gets the options.
const AGE: Duration = Duration::from_secs(1);

// ===== impl DeferredOptions =====

impl DeferredOptions {
    pub(crate) const fn new(options: SocketOptions) -> Self {
        Self(options)
    }
}

// ===== impl LateOptions =====

impl<I> LateOptions<I> {
    /// Wraps a connection that has just been dialled.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    pub fn new(io: I, options: DeferredOptions) -> Self {
        let timer = QuietTimer::new(AGE);
        Self {
            io,
            unset: Some(Box::pin(Unset { timer, options })),
        }
    }
}

impl<I: Io> LateOptions<I> {
    fn poll_set(&mut self, cx: &mut Context<'_>) {
        if let Some(unset) = &mut self.unset
            && unset.as_mut().project().timer.poll(cx).is_ready()
        {
            self.set();
        }
    }

    fn is_due(&self) -> bool {
        let unset = self.unset.as_ref();
        unset.is_some_and(|unset| unset.timer.is_elapsed())
    }

    fn set(&mut self) {
        if let Some(unset) = self.unset.take()
            && let Some(socket) = self.io.splice_sink()
            && let Err(error) = socket.set(|socket| unset.options.0.apply_late(socket))
        {
            // The system took the same options of an earlier connection: this one has failed.
            tracing::debug!(%error, "a dialled connection took no options");
        }
    }
}

impl<I: Io> Io for LateOptions<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        // All that is asked of a connection that waits with as much read ahead as may be.
        if self.is_due() {
            self.set();
        }
        self.io.take_error()
    }

    fn begin_probe(&mut self) -> Option<Probe> {
        // First, as the probe sets keep-alive back to what it was.
        self.set();
        self.io.begin_probe()
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        self.poll_set(cx);
        self.io.poll_gone(cx)
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.is_due() {
            true => None, // The next read sets them.
            false => self.io.splice_source(),
        }
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: Io> AsyncRead for LateOptions<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_set(cx);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

#[warn(clippy::missing_trait_methods)]
impl<I: Io> AsyncWrite for LateOptions<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_set(cx);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_set(cx);
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_set(cx);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::{advance, pause},
    };
    use tokio_test::{assert_pending, task};

    use super::*;
    use crate::{Conn, Dial, KeepAlive, io::TcpIo};

    /// Three connections of one dial, and their peers.
    async fn dialled(dial: impl FnOnce(Dial) -> Dial) -> Vec<(Conn<TcpIo>, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = dial(Dial::new(listener.local_addr().unwrap()));
        let mut all = Vec::new();
        for _ in 0..3 {
            let conn = dial.connect().await.unwrap();
            all.push((conn, listener.accept().await.unwrap().0));
        }
        all
    }

    fn has_keep_alive(io: &TcpIo) -> bool {
        SockRef::from(io).keepalive().unwrap()
    }

    fn late((conn, peer): (Conn<TcpIo>, TcpStream)) -> (LateOptions<TcpIo>, TcpStream) {
        let deferred = conn.info.extensions.get::<DeferredOptions>();
        (LateOptions::new(conn.io, *deferred.unwrap()), peer)
    }

    #[tokio::test]
    async fn the_first_connection_has_them_at_once_and_the_others_late() {
        let mut all = dialled(Dial::defer_options).await;
        assert!(has_keep_alive(&all[0].0.io));
        assert!(all[0].0.info.extensions.is_empty());
        pause();
        for conn in all.drain(1..) {
            let (mut io, peer) = late(conn);
            let mut reading = task::spawn(async move {
                let _ = io.read(&mut [0]).await;
                io
            });
            assert_pending!(reading.poll());
            advance(AGE - Duration::from_millis(1)).await;
            assert!(!reading.is_woken());
            // tokio's timers have a resolution of one millisecond, and fire late rather than early.
            advance(Duration::from_millis(2)).await;
            assert!(reading.is_woken(), "an idle connection gets them too");
            assert_pending!(reading.poll());
            drop(peer);
            let io = reading.await;
            assert!(has_keep_alive(&io.io));
            assert!(io.unset.is_none());
        }
    }

    #[tokio::test]
    async fn what_is_spliced_or_only_written_or_waits_gets_them_too() {
        let mut all = dialled(Dial::defer_options).await;
        pause();
        let (mut written, mut peer) = late(all.pop().unwrap());
        let (mut waits, _peer) = late(all.pop().unwrap());
        assert!(written.splice_source().is_some());
        written.write_all(b"1").await.unwrap();
        // So that its timer is set, as a reader does.
        let mut piece = [0];
        assert!(waits.take_error().is_none());
        assert_pending!(task::spawn(waits.read(&mut piece)).poll());
        advance(AGE + Duration::from_millis(1)).await;
        assert!(written.splice_source().is_none());
        assert!(!has_keep_alive(&written.io));
        written.write_all(b"2").await.unwrap();
        assert!(has_keep_alive(&written.io));
        assert!(written.splice_source().is_some());
        peer.read_exact(&mut [0; 2]).await.unwrap();
        assert!(waits.take_error().is_none());
        assert!(has_keep_alive(&waits.io));
    }

    #[tokio::test]
    async fn a_dial_that_defers_none_sets_all_at_once() {
        for (conn, _peer) in dialled(|dial| dial).await {
            assert!(has_keep_alive(&conn.io));
            assert!(conn.info.extensions.is_empty());
        }
    }

    #[tokio::test]
    async fn options_that_the_system_does_not_take_fail_each_dial() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let impossible = SocketOptions::new().keep_alive(KeepAlive::new().count(1000));
        let dial = Dial::new(listener.local_addr().unwrap())
            .defer_options()
            .socket(impossible);
        for _ in 0..2 {
            dial.connect().await.unwrap_err();
        }
    }
}
