//! A peer that is scripted by the input, and the handshake that meets the peer.

use std::{
    cell::RefCell,
    error::Error,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::endpoint::Chain;
use couplet_connector::{
    endpoint::{Conn, Info, Io, Origin},
    layers::Handshake,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
    time::timeout,
};

/// What a stranger sends. The first byte of the input says in which pieces, the second what the
/// stranger does afterwards, the others are what is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger<'a> {
    /// The bytes of a piece; 0: all come at once.
    pub(crate) piece: usize,
    pub(crate) end: End,
    pub(crate) bytes: &'a [u8],
}

/// What the stranger does after the last byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Ends,
    Resets,
    Stalls,
}

/// What became of a handshake.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It passed, and these bytes are left for the partner.
    Passed(Vec<u8>),
    /// It was refused with this error.
    Refused(String),
    /// It waits for more.
    Waits,
}

/// The connection to a stranger.
pub(crate) struct Scripted {
    piece: usize,
    end: End,
    bytes: Vec<u8>,
    read: usize,
    /// The next piece has come.
    arrived: bool,
}

// ===== impl Stranger =====

impl<'a> Stranger<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Option<Self> {
        let [piece, end, bytes @ ..] = data else {
            return None;
        };
        let end = match end % 3 {
            0 => End::Ends,
            1 => End::Resets,
            _ => End::Stalls,
        };
        Some(Self {
            piece: usize::from(*piece),
            end,
            bytes,
        })
    }

    /// The same in one piece.
    pub(crate) fn whole(self) -> Self {
        Self { piece: 0, ..self }
    }

    /// Lets the handshake meet the stranger. Checks what holds for all handshakes: it comes to
    /// nothing or to an end, its error can be shown, and nothing depends on how the bytes were cut.
    ///
    /// `look` checks what the handshake found out.
    pub(crate) fn meets<O: Io, H>(self, handshake: &H, look: impl Fn(&Info)) -> Outcome
    where
        H: Handshake<Conn<Scripted>, Output = Conn<O>, Error: Error + Send + Sync + 'static>,
    {
        let outcome = self.meets_once(handshake, &look);
        assert_eq!(outcome, self.whole().meets_once(handshake, &look));
        outcome
    }

    fn meets_once<O: Io, H>(self, handshake: &H, look: impl Fn(&Info)) -> Outcome
    where
        H: Handshake<Conn<Scripted>, Output = Conn<O>, Error: Error + Send + Sync + 'static>,
    {
        run(async {
            let mut conn = Conn::new(self.io(), Origin::Accepted);
            conn.info.peer = Some(SocketAddr::from(([192, 0, 2, 1], 4000)));
            let met = timeout(LONG, handshake.handshake(conn)).await;
            let mut conn = match met {
                Err(_) => return Outcome::Waits,
                Ok(Err(error)) => return Outcome::Refused(shown(&error)),
                Ok(Ok(conn)) => conn,
            };
            look(&conn.info);
            let mut left = Vec::new();
            // How the stream ends is for the partner to see.
            let _ = timeout(LONG, conn.io.read_to_end(&mut left)).await;
            Outcome::Passed(left)
        })
    }

    pub(crate) fn io(self) -> Scripted {
        Scripted {
            piece: self.piece,
            end: self.end,
            bytes: self.bytes.to_vec(),
            read: 0,
            arrived: false,
        }
    }
}

/// Longer than any patience of ours; the clock goes on by itself when all wait.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Runs it to its end, with a clock that stands still while there is work to do.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: RefCell<Runtime> = RefCell::new(
            Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime without sockets can be built"),
        );
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

/// An error and all its causes, as a log shows them.
pub(crate) fn shown(error: &(dyn Error + 'static)) -> String {
    let text = Chain(error).to_string();
    crate::assert_printable(&text);
    text
}

// ===== impl Scripted =====

impl Io for Scripted {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.bytes.len() - self.read;
        if left == 0 {
            return match self.end {
                End::Ends => Poll::Ready(Ok(())),
                End::Resets => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                End::Stalls => Poll::Pending,
            };
        }
        let mut n = left.min(buf.remaining());
        if self.piece > 0 {
            self.arrived = !self.arrived;
            if self.arrived {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            n = n.min(self.piece);
        }
        buf.put_slice(&self.bytes[self.read..self.read + n]);
        self.read += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
