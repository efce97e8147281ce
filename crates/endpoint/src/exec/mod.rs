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

/// Starts a program for each connection: the connection is the program's standard input and output.
///
/// Standard error is that of this process. The program has the environment of this process, and the
/// variables of [`env`](Self::env) and [`for_client`](Self::for_client); it inherits no other descriptor. A
/// service, like [`Dial`](crate::Dial); [`Info::program`] has the program's process number and its exit.
///
/// | the connection | the program |
/// |---|---|
/// | is shut down for writing | its standard input is closed |
/// | reads an end of stream | has closed its standard output, and has exited with any status, or still runs 250 ms later |
/// | reads `ECONNRESET` | was killed by a signal |
/// | has back-pressure | its pipes are full, 64 KiB each |
/// | gets `EPIPE` for a write | has closed its standard input; its output is still read |
/// | is dropped at its end | gets `SIGTERM` if it still runs 5 s later |
/// | is [aborted](crate::Io::abort), then dropped | gets `SIGTERM` at once |
///
/// Signals go to the whole process group, whose leader is the program. 5 s after `SIGTERM` the group gets
/// `SIGKILL`. A process that has left the group, such as a daemon, goes on; a process that keeps the
/// standard output open keeps the connection open.
#[derive(Clone, Debug)]
pub struct Exec {
    addr: ExecAddr,
    name: Arc<str>,
    env: Vec<(OsString, OsString)>,
}

// ===== impl Exec =====

impl Exec {
    /// Starts this program.
    pub fn new(addr: ExecAddr) -> Self {
        Self {
            name: addr.program().into(),
            addr,
            env: Vec::new(),
        }
    }

    /// The program and its arguments.
    pub fn addr(&self) -> &ExecAddr {
        &self.addr
    }

    /// Adds a variable to the program's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Describes the client in the program's environment, in the variables of socat(1): `SOCAT_PEERADDR` and `SOCAT_PEERPORT`, the client's address and port, `SOCAT_SOCKADDR` and
    /// `SOCAT_SOCKPORT`, ours. An IPv6 address is in brackets, and has all its digits.
    #[must_use]
    pub fn for_client(mut self, client: &Info) -> Self {
        self.env.extend(env::of(client));
        self
    }

    /// Checks that the program exists, and that this process may start it.
    ///
    /// # Errors
    ///
    /// [`ExecError`] if there is no such program.
    pub fn check(&self) -> Result<(), ExecError> {
        let is_there = env::find(self.addr.program());
        is_there.map_err(|error| ExecError::new(Arc::clone(&self.name), error))
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// [`ExecError`] if the system can't start the program.
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
