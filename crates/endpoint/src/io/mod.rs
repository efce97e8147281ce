//! [`Io`]: the stream of bytes of a connection.

mod alive;
mod either;
#[cfg(unix)]
mod late_options;
mod opaque;
mod replay;
mod reset_unless_shut;
mod send_and_close;
#[cfg(unix)]
mod socket;
pub(crate) mod tcp;

pub use self::{
    alive::{Probe, is_alive, may_have_vanished},
    opaque::Opaque,
    replay::Replay,
    reset_unless_shut::ResetUnlessShut,
    send_and_close::send_and_close,
    tcp::TcpIo,
};
#[cfg(unix)]
pub use self::{
    late_options::{DeferredOptions, LateOptions},
    socket::Socket,
};

use std::{
    any::Any,
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes in each direction, with the questions of a relay that [`AsyncRead`] and
/// [`AsyncWrite`] can't answer.
///
/// **A wrapper** around another `Io` names it in [`inner_mut`](Self::inner_mut); resets, errors and
/// unsent bytes are then the inner io's. Only splicing is opt-in: a wrapper that says nothing sees
/// every byte.
///
/// ```
/// use couplet_endpoint::{Io, forward_async_write};
/// # use std::{io, pin::Pin, task::{Context, Poll}};
/// # use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
///
/// struct Counted<I> {
///     io: I,
///     reads: u64,
/// }
///
/// impl<I: Io> Io for Counted<I> {
///     fn inner_mut(&mut self) -> Option<&mut dyn Io> {
///         Some(&mut self.io)
///     }
/// }
///
/// impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
/// #   fn poll_read(
/// #       mut self: Pin<&mut Self>,
/// #       cx: &mut Context<'_>,
/// #       buf: &mut ReadBuf<'_>,
/// #   ) -> Poll<io::Result<()>> {
/// #       self.reads += 1;
/// #       Pin::new(&mut self.io).poll_read(cx, buf)
/// #   }
///     // …
/// }
///
/// forward_async_write!(impl[I: AsyncWrite + Unpin] for Counted<I>, io);
/// ```
///
/// **A foreign stream** becomes an `Io` in [`Opaque`]. There is no blanket implementation, because
/// a [`TcpIo`] must be able to answer.
///
/// The trait is object-safe: [`BoxIo`] answers as the stream inside it does.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The io that this one wraps, or `None` for one that wraps no other.
    ///
    /// The defaults of [`abort`](Self::abort), [`take_error`](Self::take_error),
    /// [`has_unsent`](Self::has_unsent) and what follows it, up to the questions of splice, pass the
    /// call on to it. The method has no default itself: a wrapper that forgot it would turn resets
    /// into ends of stream.
    fn inner_mut(&mut self) -> Option<&mut dyn Io>;

    /// Turns the coming drop into an abortive close, so that the peer sees a reset and not an
    /// end of stream (on TCP: a linger time of zero, see `SO_LINGER` in socket(7)).
    ///
    /// By default the [inner](Self::inner_mut) io is aborted. Where there is none, nothing happens,
    /// and the peer sees what dropping the stream shows.
    fn abort(&mut self) {
        if let Some(inner) = self.inner_mut() {
            inner.abort();
        }
    }

    /// Declares that the coming drop is an orderly end of the sending half, as a shutdown would be: for
    /// a relay that saves the system call where nothing more will be read.
    ///
    /// Matters to an io that takes a drop without a shutdown for a cut, as [`ResetUnlessShut`] does. By
    /// default the [inner](Self::inner_mut) io is told.
    fn shut_by_drop(&mut self) {
        if let Some(inner) = self.inner_mut() {
            inner.shut_by_drop();
        }
    }

    /// Takes an error that the system knows of already and that no read or write has returned yet
    /// (on TCP: `SO_ERROR`, see socket(7)). Takes no byte from the stream.
    ///
    /// By default the [inner](Self::inner_mut) io's, or none.
    fn take_error(&mut self) -> Option<io::Error> {
        self.inner_mut()?.take_error()
    }

    /// Whether written bytes are still held on this side, for want of room at the peer. An abortive
    /// close would discard them. Called only when nothing more will be written.
    ///
    /// By default the [inner](Self::inner_mut) io's answer, or `false`. On Linux's TCP it is exact
    /// but for a last small segment; elsewhere it is `false`.
    fn has_unsent(&mut self) -> bool {
        self.inner_mut().is_some_and(|inner| inner.has_unsent())
    }

    /// The time since the system last sent bytes to the peer, or since the last acknowledgement if
    /// that is longer. Short while a peer takes written bytes, though no write goes on. `None` where
    /// the system does not know.
    ///
    /// By default the [inner](Self::inner_mut) io's answer, or `None`. On Linux's TCP it is exact to
    /// a few milliseconds (`TCP_INFO`, see tcp(7)); elsewhere it is `None`.
    fn sent_ago(&mut self) -> Option<Duration> {
        self.inner_mut()?.sent_ago()
    }

    /// What the peer's system has left unanswered: bytes, or the question whether there is room for
    /// more. `None` where nothing is, and where the system does not tell.
    ///
    /// By default the [inner](Self::inner_mut) io's answer, or `None`. Linux's TCP tells
    /// (`TCP_INFO`, see tcp(7)).
    fn unanswered(&mut self) -> Option<Unanswered> {
        self.inner_mut()?.unanswered()
    }

    /// How long ago the peer's system was last heard of: a byte, or an acknowledgement. `None` where
    /// the system does not tell.
    ///
    /// By default the [inner](Self::inner_mut) io's answer, or `None`. Linux's TCP tells
    /// (`TCP_INFO`, see tcp(7)).
    fn heard_ago(&mut self) -> Option<Duration> {
        self.inner_mut()?.heard_ago()
    }

    /// Asks the peer's system whether it is there, once a second until the probe
    /// [ends](Self::end_probe), without a byte of the stream. An answer shows in
    /// [`heard_ago`](Self::heard_ago). `None` where the system can't ask. See [`is_alive`].
    ///
    /// By default the [inner](Self::inner_mut) io does. On Linux's TCP the probes are those of
    /// keep-alive: the first leaves at once where the peer was not heard of for a second.
    fn begin_probe(&mut self) -> Option<Probe> {
        self.inner_mut()?.begin_probe()
    }

    /// Asks no more: keep-alive is as it was before.
    fn end_probe(&mut self, probe: Probe) {
        if let Some(inner) = self.inner_mut() {
            inner.end_probe(probe);
        }
    }

    /// Whether the peer has gone, without consuming a byte of the stream. While unread bytes are queued, only a
    /// failure is reported, and not at once: poll each second.
    ///
    /// By default the failures of [`take_error`](Self::take_error). A wrapper that passes bytes on unchanged
    /// and holds none forwards to the io within. TCP and TLS report an end of stream, too.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let _ = cx;
        match self.take_error() {
            Some(_) => Poll::Ready(Gone::Failed),
            None => Poll::Pending,
        }
    }

    /// Does the work of an io while no task reads or writes: answers the peer's pings, sends its own, and closes
    /// in order once both directions have ended. A relay polls this whenever it is woken, and ends a connection
    /// only when this is ready, so that no byte before an end is lost. A failure shows in the next read or write,
    /// or in [`take_error`](Self::take_error).
    ///
    /// By default forwards to the [inner](Self::inner_mut) io; an io without one is ready.
    fn poll_upkeep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.inner_mut() {
            Some(inner) => inner.poll_upkeep(cx),
            None => Poll::Ready(()),
        }
    }

    /// The socket to splice *from*: some socket while, and only while, every byte that a reader would
    /// get comes from that socket unchanged and no byte has been read ahead.
    ///
    /// Called again for each piece, and separately for each direction: a wrapper may answer `None` at
    /// first and pass the call on later, and a wrapper that changes or watches the bytes read may still
    /// pass on [`splice_sink`](Self::splice_sink). `None` by default, also for a wrapper: a relay
    /// bypasses only an io that agrees.
    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        None
    }

    /// The socket to splice *into*: some socket while, and only while, every byte written reaches that
    /// socket unchanged, none is held back, and a shutdown of the io only shuts the socket down. Of a socket
    /// whose bytes are [in frames](Socket::in_frames) that is so of the bytes within a frame alone.
    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        None
    }

    /// Asks how many bytes of a piece may be spliced into the [socket](Self::splice_sink) now: before each splice,
    /// with the number of those that are left, and with 0 behind the last, which is answered at once. An io that frames
    /// bytes writes the head of a frame here. The whole of a piece has to be spliced before anything else is written.
    /// A call that is dropped loses nothing: the next one goes on.
    ///
    /// By default the [inner](Self::inner_mut) io's answer, or all of them.
    ///
    /// # Errors
    ///
    /// Those of a write.
    #[cfg(unix)]
    fn poll_splicing(&mut self, cx: &mut Context<'_>, left: u32) -> Poll<io::Result<u32>> {
        match self.inner_mut() {
            Some(inner) => inner.poll_splicing(cx, left),
            None => Poll::Ready(Ok(left)),
        }
    }
}

/// What a peer's system has left unanswered, see [`Io::unanswered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// How long ago the peer's system last acknowledged anything.
    pub heard_ago: Duration,
    /// How many retransmissions, or probes of a full window, have gone unanswered in a row. Where
    /// bytes are on their way in good order it is 0.
    pub tries: u32,
}

/// How a peer has gone, see [`Io::poll_gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The peer has ended its stream, and every byte before that is read. The peer may have closed the
    /// connection, or may still want to receive.
    Ended,
    /// The connection has failed: a reset, as a rule.
    Failed,
}

/// A boxed [`Io`], for places where connections of different types meet.
pub type BoxIo = Box<dyn Io>;

/// Boxes an io; a box is not boxed again.
pub fn boxed<I: Io>(io: I) -> BoxIo {
    let mut io = Some(io);
    if let Some(boxed) = (&mut io as &mut dyn Any).downcast_mut::<Option<BoxIo>>() {
        return boxed.take().expect("it was put there above");
    }
    Box::new(io.expect("it was put there above"))
}

// ===== impl Io for Box =====

impl<T: Io + ?Sized> Io for Box<T> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        (**self).inner_mut()
    }

    fn abort(&mut self) {
        (**self).abort();
    }

    fn shut_by_drop(&mut self) {
        (**self).shut_by_drop();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        (**self).take_error()
    }

    fn has_unsent(&mut self) -> bool {
        (**self).has_unsent()
    }

    fn sent_ago(&mut self) -> Option<Duration> {
        (**self).sent_ago()
    }

    fn unanswered(&mut self) -> Option<Unanswered> {
        (**self).unanswered()
    }

    fn heard_ago(&mut self) -> Option<Duration> {
        (**self).heard_ago()
    }

    fn begin_probe(&mut self) -> Option<Probe> {
        (**self).begin_probe()
    }

    fn end_probe(&mut self, probe: Probe) {
        (**self).end_probe(probe);
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        (**self).poll_gone(cx)
    }

    fn poll_upkeep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_upkeep(cx)
    }

    #[cfg(unix)]
    fn splice_source(&self) -> Option<Socket<'_>> {
        (**self).splice_source()
    }

    #[cfg(unix)]
    fn splice_sink(&self) -> Option<Socket<'_>> {
        (**self).splice_sink()
    }

    #[cfg(unix)]
    fn poll_splicing(&mut self, cx: &mut Context<'_>, left: u32) -> Poll<io::Result<u32>> {
        (**self).poll_splicing(cx, left)
    }
}

// ===== impl Io for UnixStream =====

/// A Unix socket has no resets: aborting it is closing it.
#[cfg(unix)]
impl Io for tokio::net::UnixStream {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    fn take_error(&mut self) -> Option<io::Error> {
        socket2::SockRef::from(&*self).take_error().ok().flatten()
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        Some(Socket::unix(self))
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        Some(Socket::unix(self))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, ReadBuf},
        net::TcpStream,
    };

    use super::*;
    use crate::memory;

    /// Implements what the trait requires, and no more.
    struct Wrapper<I>(I);

    impl<I: Io> Io for Wrapper<I> {
        fn inner_mut(&mut self) -> Option<&mut dyn Io> {
            Some(&mut self.0)
        }
    }

    impl<I: AsyncRead + Unpin> AsyncRead for Wrapper<I> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    crate::forward_async_write!(impl[I: AsyncWrite + Unpin] for Wrapper<I>, 0);

    #[tokio::test]
    async fn a_wrapper_passes_on_resets_and_errors() {
        let (mut peer, io) = memory::connection(64);
        let mut io: BoxIo = boxed(Wrapper(boxed(Wrapper(io))));
        io.abort();
        drop(io);
        let error = peer.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let (mut peer, io) = memory::connection(64);
        let mut io: BoxIo = boxed(Wrapper(boxed(Wrapper(io))));
        peer.abort();
        drop(peer);
        assert!(io.take_error().is_some());
    }

    #[tokio::test]
    async fn tcp_tells_of_a_peer_that_has_gone_and_keeps_its_bytes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = async |is_tokios: bool| {
            let peer = TcpStream::connect(listener.local_addr().unwrap()).await;
            let (stream, _) = listener.accept().await.unwrap();
            let io = match is_tokios {
                true => boxed(stream),
                false => boxed(TcpIo::from_std(stream.into_std().unwrap()).unwrap()),
            };
            (peer.unwrap(), Replay::new(io))
        };
        let gone = async |io: &mut Replay<BoxIo>| std::future::poll_fn(|cx| io.poll_gone(cx)).await;
        for is_tokios in [true, false] {
            let (mut peer, mut io) = connect(is_tokios).await;
            assert!(futures::poll!(std::pin::pin!(gone(&mut io))).is_pending());
            peer.write_all(b"hello").await.unwrap();
            peer.shutdown().await.unwrap();
            // Behind unread bytes there is no end.
            let look = tokio::time::timeout(Duration::from_millis(50), gone(&mut io)).await;
            assert!(look.is_err());
            io.read_exact(&mut [0; 5]).await.unwrap();
            assert_eq!(gone(&mut io).await, Gone::Ended);

            let (mut peer, mut io) = connect(is_tokios).await;
            peer.abort();
            drop(peer);
            assert_eq!(gone(&mut io).await, Gone::Failed);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_wrapper_is_not_bypassed_unless_it_agrees() {
        let (one, _other) = tokio::net::UnixStream::pair().unwrap();
        let io: BoxIo = boxed(Wrapper(one));
        assert!(io.splice_source().is_none());
        assert!(io.splice_sink().is_none());
    }
}
