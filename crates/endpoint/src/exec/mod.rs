//! [`Exec`]: a program's standard input and output as a connection.

mod attend;
mod env;
mod error;
mod io;

pub use self::{error::ExecError, io::ExecIo};

use std::{
    ffi::OsString,
    future::{Ready, ready},
    io as std_io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{io::Interest, sync::watch};
use tower_service::Service;

use self::attend::Attendant;
use crate::{
    address::ExecAddr,
    conn::{Conn, Info, Origin, Program},
    polled::Polled,
};

/// Starts a program for each connection, whose standard input and output the connection is.
///
/// Standard error is that of this process. The program has the environment of this process, and the
/// variables of [`env`](Self::env) and [`for_client`](Self::for_client); no descriptor of this process but
/// those three. It is a service as [`Dial`](crate::Dial) is, and [`Info::program`] tells its number and
/// its exit.
///
/// | of the connection | of the program |
/// |---|---|
/// | the end of what is written | its standard input is closed |
/// | an end of stream | it has closed its standard output, and has exited with any status, or still runs 250 ms later |
/// | `ECONNRESET` | its standard output was closed because a signal killed it |
/// | back-pressure | its pipes are full, 64 KiB each: it is held up, or holds up |
/// | a write after it has closed its input | `EPIPE`; what it writes is still read |
/// | dropped at its end | `SIGTERM` where it still runs 5 s later |
/// | [aborted](crate::Io::abort), then dropped | `SIGTERM` at once |
///
/// Signals are for the whole process group, of which the program is the leader, and what is left of it
/// 5 s after `SIGTERM` is killed by `SIGKILL`. A process that has left the group, as a daemon does, goes
/// on; one that keeps the standard output open keeps the connection open.
#[derive(Clone, Debug)]
pub struct Exec {
    addr: ExecAddr,
    name: Arc<str>,
    env: Vec<(OsString, OsString)>,
}

// ===== impl Exec =====

impl Exec {
    /// To start this program.
    pub fn new(addr: ExecAddr) -> Self {
        Self {
            name: addr.program().into(),
            addr,
            env: Vec::new(),
        }
    }

    /// What is started.
    pub fn addr(&self) -> &ExecAddr {
        &self.addr
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Tells it of the client that it is started for, in the variables that socat(1) has for that:
    /// `SOCAT_PEERADDR` and `SOCAT_PEERPORT`, the client's address and port, `SOCAT_SOCKADDR` and
    /// `SOCAT_SOCKPORT`, ours. An IPv6 address is in brackets, and has all its digits.
    #[must_use]
    pub fn for_client(mut self, client: &Info) -> Self {
        self.env.extend(env::of(client));
        self
    }

    /// Whether there is such a program, which this process may start.
    ///
    /// # Errors
    ///
    /// [`ExecError`] where there is none.
    pub fn check(&self) -> Result<(), ExecError> {
        let is_there = env::find(self.addr.program());
        is_there.map_err(|error| ExecError::new(Arc::clone(&self.name), error))
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`ExecError`] where the system can't.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub fn start(&self) -> Result<Conn<ExecIo>, ExecError> {
        let started = self.start_io();
        started.map_err(|error| ExecError::new(Arc::clone(&self.name), error))
    }

    fn start_io(&self) -> std_io::Result<Conn<ExecIo>> {
        let mut command = Command::new(self.addr.program());
        command
            .args(self.addr.args())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (told, exit) = watch::channel(None);
        let program = Program::new(Arc::clone(&self.name), child.id(), exit.clone());
        // From here on it is attended, whatever fails.
        let attendant = Attendant::of(child, program.clone(), told);
        let input = stdin.ok_or(std_io::ErrorKind::BrokenPipe)?;
        let output = stdout.ok_or(std_io::ErrorKind::BrokenPipe)?;
        let input = Polled::pipe(input.into(), Interest::WRITABLE)?;
        let output = Polled::pipe(output.into(), Interest::READABLE)?;
        let io = ExecIo::new(input, output, attendant, exit);
        let mut conn = Conn::new(io, Origin::Dialled);
        conn.info.extensions.insert(program);
        Ok(conn)
    }
}

impl<R> Service<R> for Exec {
    type Response = Conn<ExecIo>;
    type Error = ExecError;
    type Future = Ready<Result<Self::Response, ExecError>>;

    /// Always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExecError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        ready(self.start())
    }
}
