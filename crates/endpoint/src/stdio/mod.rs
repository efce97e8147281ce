//! [`Stdio`]: standard input and output as one connection.

mod thread;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::thread::{ReadThread, WriteThread};
use crate::{
    conn::{Conn, Origin},
    io::{Io, Socket},
    polled::Polled,
};

/// Standard input and output of this process, as the two directions of one connection.
///
/// | what it is | how its bytes move | spliced |
/// |---|---|---|
/// | a pipe | opened anew and not blocking, so that no process that shares the pipe sees `O_NONBLOCK` | yes |
/// | a terminal | likewise | no |
/// | a socket, as inetd(8) and `systemd-socket-activate --inetd` hand over | as a socket, set not to block | yes |
/// | anything else: a file, `/dev/null`, a terminal of another user | blocking, in a thread of its own that is never waited for | no |
///
/// An end of standard input is an end of stream, as ever. Shutting the connection down, or dropping it,
/// closes standard output, so that its reader sees the end. **There is no reset** but where both are one
/// TCP socket: the reader of a stream that was cut sees an end, and the exit status has to tell.
///
/// One connection of a process: from [`take`](Self::take) on, the process's descriptors 0 and 1 are
/// `/dev/null`, so that nothing else can write into the stream.
#[derive(Debug)]
pub struct Stdio {
    input: Input,
    /// Until it is shut down.
    output: Option<Output>,
}

#[derive(Debug)]
enum Input {
    Polled(Polled),
    Thread(ReadThread),
}

#[derive(Debug)]
enum Output {
    Polled(Polled),
    Thread(WriteThread),
}

// ===== impl Stdio =====

impl Stdio {
    /// Takes standard input and output of this process, which has none from then on.
    ///
    /// [`Info::peer`](crate::Info::peer) is the client where they are a TCP socket.
    ///
    /// # Errors
    ///
    /// When a descriptor is closed, or none is free.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn take() -> io::Result<Conn<Self>> {
        let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        let (peer, local) = addresses(&input);
        let input = match Polled::reader(&input)? {
            Some(polled) => Input::Polled(polled),
            None => Input::Thread(ReadThread::of(input.into())?),
        };
        let output = match Polled::writer(&output)? {
            Some(polled) => Output::Polled(polled),
            None => Output::Thread(WriteThread::of(output.into())?),
        };
        let null = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        let stdio = Self {
            input,
            output: Some(output),
        };
        let mut conn = Conn::new(stdio, Origin::Dialled);
        (conn.info.peer, conn.info.local) = (peer, local);
        Ok(conn)
    }

    fn output(&mut self) -> io::Result<&mut Output> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.output.as_mut().ok_or_else(closed)
    }
}

/// The peer's and ours, of a TCP socket.
fn addresses(fd: &impl std::os::fd::AsFd) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let socket = SockRef::from(fd);
    let of = |addr: io::Result<socket2::SockAddr>| addr.ok()?.as_socket();
    (of(socket.peer_addr()), of(socket.local_addr()))
}

impl Io for Stdio {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        None
    }

    fn abort(&mut self) {
        if let Some(Output::Polled(output)) = &self.output {
            output.abort();
        }
    }

    fn has_unsent(&mut self) -> bool {
        matches!(&self.output, Some(Output::Thread(thread)) if thread.has_unwritten())
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        match &self.input {
            Input::Polled(input) => input.spliced(),
            Input::Thread(_) => None,
        }
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        match &self.output {
            Some(Output::Polled(output)) => output.spliced(),
            _ => None,
        }
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.input {
            Input::Polled(input) => input.poll_read(cx, buf),
            Input::Thread(input) => input.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.output()? {
            Output::Polled(output) => output.poll_write(cx, buf),
            Output::Thread(output) => output.poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.output()? {
            Output::Polled(_) => Poll::Ready(Ok(())),
            Output::Thread(output) => output.poll_flush(cx),
        }
    }

    /// Closes standard output.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = match &mut self.output {
            None => Ok(()),
            Some(Output::Polled(output)) => output.shut_down(),
            Some(Output::Thread(output)) => ready!(output.poll_flush(cx)),
        };
        self.output = None;
        Poll::Ready(shut)
    }
}
