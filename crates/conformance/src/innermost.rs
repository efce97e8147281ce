use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Io, io::boxed};
use couplet_pairing::Pair;
use couplet_relay::{Relay, RelayError, Summary};
use futures::future::{BoxFuture, FutureExt, pending, poll_fn, ready};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::PollSemaphore;
use tower_service::Service;

/// The innermost service below the tested layer: in place of the pairing on a side, of the relay on a pair.
#[derive(Debug)]
pub struct Innermost {
    free: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
}

/// What comes to the [`Innermost`].
#[derive(Debug)]
pub(super) struct Arrivals {
    let_through: mpsc::UnboundedReceiver<BoxIo>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    let_through: mpsc::UnboundedSender<BoxIo>,
    relays: Relays,
    joined: AtomicBool,
    called_unready: AtomicBool,
}

/// How a pair is relayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relays {
    /// By the relay.
    AsEver,
    /// With vectored writes alone.
    Vectored,
}

// ===== impl Innermost =====

impl Innermost {
    /// With room for this many calls at a time.
    pub(super) fn new(room: usize, relays: Relays) -> (Self, Arrivals) {
        let (sender, let_through) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            let_through: sender,
            relays,
            joined: AtomicBool::new(false),
            called_unready: AtomicBool::new(false),
        });
        let this = Self {
            free: PollSemaphore::new(Arc::new(Semaphore::new(room))),
            permit: None,
            shared: Arc::clone(&shared),
        };
        let arrivals = Arrivals {
            let_through,
            shared,
        };
        (this, arrivals)
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.permit.is_none() {
            self.permit = std::task::ready!(self.free.poll_acquire(cx));
        }
        Poll::Ready(())
    }

    fn take_permit(&mut self) -> Option<OwnedSemaphorePermit> {
        let permit = self.permit.take();
        if permit.is_none() {
            self.shared.called_unready.store(true, Ordering::Relaxed);
        }
        permit
    }
}

impl<I: Io> Service<Conn<I>> for Innermost {
    type Response = ();
    type Error = BoxError;
    type Future = futures::future::Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.poll_permit(cx).map(Ok)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        drop(self.take_permit());
        // Where no check waits for the connection any more, it is closed.
        let _ = self.shared.let_through.send(boxed(conn.io));
        ready(Ok(()))
    }
}

impl<A: Io, B: Io> Service<Pair<A, B>> for Innermost {
    type Response = Summary;
    type Error = RelayError;
    type Future = BoxFuture<'static, Result<Summary, RelayError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        self.poll_permit(cx).map(Ok)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let permit = self.take_permit();
        self.shared.joined.store(true, Ordering::Relaxed);
        let relaying: Self::Future = match self.shared.relays {
            Relays::AsEver => Relay::new().call(pair).boxed(),
            Relays::Vectored => relay_vectored(pair).boxed(),
        };
        async move {
            let _permit = permit;
            relaying.await
        }
        .boxed()
    }
}

impl Clone for Innermost {
    fn clone(&self) -> Self {
        Self {
            free: self.free.clone(),
            permit: None,
            shared: Arc::clone(&self.shared),
        }
    }
}

// ===== impl Arrivals =====

impl Arrivals {
    /// The next io that the layer lets through.
    pub(super) async fn next(&mut self) -> BoxIo {
        match self.let_through.recv().await {
            Some(io) => io,
            None => pending().await,
        }
    }

    /// The next io that the layer has let through.
    pub(super) fn has_come(&mut self) -> Option<BoxIo> {
        self.let_through.try_recv().ok()
    }

    /// Has a pair come to the relay?
    pub(super) fn joined(&self) -> bool {
        self.shared.joined.load(Ordering::Relaxed)
    }

    /// Was a service called that was not ready?
    pub(super) fn called_unready(&self) -> bool {
        self.shared.called_unready.load(Ordering::Relaxed)
    }
}

// ===== vectored writes =====

/// Relays both directions for ever, with vectored writes of several slices.
async fn relay_vectored<A: Io, B: Io>(pair: Pair<A, B>) -> Result<Summary, RelayError> {
    let Pair { a, b, session } = pair;
    session.begin();
    let ((from_a, to_a), (from_b, to_b)) = (tokio::io::split(a), tokio::io::split(b));
    // What fails shows in what arrives.
    let _ = futures::join!(copy_vectored(from_a, to_b), copy_vectored(from_b, to_a));
    drop(session);
    pending().await
}

async fn copy_vectored(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; 8 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        write_vectored(&mut to, &buffer[..n]).await?;
        to.flush().await?;
    }
}

/// Writes in several slices, one of them empty, as often as it takes.
pub(super) async fn write_vectored(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
) -> io::Result<()> {
    while !bytes.is_empty() {
        let (one, rest) = bytes.split_at(bytes.len() / 3);
        let (two, three) = rest.split_at(rest.len() / 2);
        let slices = [one, &[], two, three].map(IoSlice::new);
        let n = poll_fn(|cx| Pin::new(&mut *to).poll_write_vectored(cx, &slices)).await?;
        if n == 0 || n > bytes.len() {
            let wrong = format!("a vectored write of {} bytes took {n}", bytes.len());
            return Err(io::Error::other(wrong));
        }
        bytes = &bytes[n..];
    }
    Ok(())
}
