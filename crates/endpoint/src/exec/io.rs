use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::timeout,
};

use super::attend::Attendant;
use crate::{
    conn::Exit,
    io::{Io, Socket},
    polled::Polled,
};

/// How long the end of a program's output waits for the program's.
const PATIENCE: Duration = Duration::from_millis(250);

/// The standard input and output of a program: see [`Exec`](super::Exec).
pub struct ExecIo {
    /// The program's standard input, until it is shut down.
    input: Option<Polled>,
    /// The program's standard output.
    output: Polled,
    end: End,
    // Behind the pipes, which are to be closed when the program hears of it.
    attendant: Attendant,
}

/// Of the program's standard output.
enum End {
    /// Not yet.
    Open(watch::Receiver<Option<Exit>>),
    /// It is closed; the program may be about to end.
    Waits(BoxFuture<'static, Option<Exit>>),
    Ended,
    /// It ended because of this signal.
    Killed(i32),
}

// ===== impl ExecIo =====

impl ExecIo {
    pub(super) fn new(
        input: Polled,
        output: Polled,
        attendant: Attendant,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        Self {
            input: Some(input),
            output,
            end: End::Open(exit),
            attendant,
        }
    }

    fn input(&self) -> io::Result<&Polled> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.input.as_ref().ok_or_else(closed)
    }
}

impl Io for ExecIo {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    /// Has `SIGTERM` sent.
    fn abort(&mut self) {
        self.attendant.cut();
    }

    fn has_unsent(&mut self) -> bool {
        self.input.as_ref().is_some_and(|input| input.unread() > 0)
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        match self.end {
            End::Open(_) => self.output.spliced(),
            _ => None,
        }
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.input.as_ref()?.spliced()
    }
}

impl AsyncRead for ExecIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.end {
                End::Open(exit) => {
                    let (before, room) = (buf.filled().len(), buf.remaining());
                    ready!(this.output.poll_read(cx, buf))?;
                    if room == 0 || buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                    this.end = End::Waits(told(exit.clone()).boxed());
                }
                End::Waits(exit) => {
                    this.end = match ready!(exit.poll_unpin(cx)) {
                        Some(Exit::Signal(signal)) => End::Killed(signal),
                        _ => End::Ended,
                    };
                }
                End::Ended => return Poll::Ready(Ok(())),
                End::Killed(signal) => {
                    let error = format!("the program was killed by signal {signal}");
                    let kind = io::ErrorKind::ConnectionReset;
                    return Poll::Ready(Err(io::Error::new(kind, error)));
                }
            }
        }
    }
}

/// How the program ended, if it does soon.
async fn told(mut exit: watch::Receiver<Option<Exit>>) -> Option<Exit> {
    match timeout(PATIENCE, exit.wait_for(Option::is_some)).await {
        Ok(Ok(exit)) => *exit,
        _ => None,
    }
}

impl AsyncWrite for ExecIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.input()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.input().map(drop))
    }

    /// Closes the program's standard input.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ExecIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecIo")
            .field("attendant", &self.attendant)
            .finish_non_exhaustive()
    }
}
