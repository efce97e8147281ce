use std::{io, os::unix::net::UnixListener, sync::Arc};

use super::{
    UnixListen, UnixListenSocket,
    file::{self, OwnFile, Owner},
    sock_addr, socket,
};
use crate::{
    address::{AddressError, UnixAddr},
    listen::BindError,
};

/// The options of a listening Unix socket; made by [`UnixListen::options`].
#[derive(Clone, Debug)]
#[must_use = "nothing listens until it is bound"]
pub struct UnixListenOptions {
    backlog: u32,
    owner: Owner,
}

// ===== impl UnixListenOptions =====

impl UnixListenOptions {
    pub(super) const fn new() -> Self {
        Self {
            backlog: 4096,
            owner: Owner {
                mode: None,
                uid: None,
                gid: None,
            },
        }
    }

    /// The number of connections that the system keeps until they are accepted, as
    /// [`ListenOptions::backlog`](crate::ListenOptions::backlog). 4096 by default. If the queue
    /// is full, a client that does not block gets `EAGAIN`.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// The permissions of the path, such as `0o660`; a client needs permission to write. `0o777` without
    /// the process's umask by default. An abstract name has none.
    pub fn mode(mut self, mode: u32) -> Self {
        self.owner.mode = Some(mode);
        self
    }

    /// The user that owns the path: any, if the process may (`CAP_CHOWN`). By default the process's.
    pub fn user(mut self, uid: u32) -> Self {
        self.owner.uid = Some(uid);
        self
    }

    /// The group of the path: one that the process is a member of, or any, if the process may
    /// (`CAP_CHOWN`). By default the process's.
    pub fn group(mut self, gid: u32) -> Self {
        self.owner.gid = Some(gid);
        self
    }

    /// Listens on a [`UnixAddr`], or a string that is one.
    ///
    /// **A path that exists** is replaced if it is a socket on which no program listens any more, which
    /// a program that was killed leaves behind: a connection is tried first. Two programs that do so
    /// at once, in one directory, wait for each other (flock(2)). One on which a program listens, or
    /// anything but a socket, is an error, and stays.
    ///
    /// Permissions and owner are as they should be before the first client can connect: only then
    /// does it listen.
    ///
    /// Cancel-safe: when it is dropped, nothing listens and no path is left.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the socket; of [kind](BindError::kind) `AddrInUse` where a program
    /// listens there, `AlreadyExists` where the path is no socket, `InvalidInput` for a mode, a user or
    /// a group of an abstract name.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn bind<A>(&self, addr: A) -> Result<UnixListen, BindError>
    where
        A: TryInto<UnixAddr, Error: Into<AddressError>>,
    {
        let addr = addr
            .try_into()
            .map_err(|error| BindError::address(error.into()))?;
        let wrong = |error: io::Error| {
            let why = match error.kind() {
                io::ErrorKind::AddrInUse => ", a program listens there already",
                io::ErrorKind::AlreadyExists => ", path is not a socket and stays as it is",
                io::ErrorKind::NotFound => ", no such directory",
                io::ErrorKind::PermissionDenied => ", no permission",
                _ => "",
            };
            BindError::unix(&addr, why, error)
        };
        let opened = match addr.as_path() {
            None => self.open_abstract(&addr),
            Some(path) => {
                let _lock = file::lock_directory(path).await;
                file::clear_stale(path).and_then(|()| self.open(&addr))
            }
        };
        let (listener, file) = opened.map_err(wrong)?;
        let file = file.map(Arc::new);
        UnixListen::new(listener, addr.clone(), file).map_err(wrong)
    }

    /// Takes a socket over that listens already, with the clients in its accept queue. The owner and the
    /// mode of its path are set, where they are said here.
    ///
    /// # Errors
    ///
    /// Where the system refuses them, or another program has replaced the path.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn adopt(&self, socket: UnixListenSocket) -> io::Result<UnixListen> {
        if let Some(file) = &socket.file {
            file.set(self.owner)?;
        }
        socket.listener.set_nonblocking(true)?;
        UnixListen::new(socket.listener, socket.addr, socket.file)
    }

    fn open(&self, addr: &UnixAddr) -> io::Result<(UnixListener, Option<OwnFile>)> {
        let path = addr
            .as_path()
            .expect("an abstract name is opened otherwise");
        let socket = socket()?;
        if let Some(mode) = self.owner.mode {
            file::restrict(&socket, mode)?;
        }
        socket.bind(&sock_addr(addr)?)?;
        let file = OwnFile::of(path)?;
        file.set(self.owner)?;
        socket.listen(self.queue())?;
        Ok((socket.into(), Some(file)))
    }

    fn open_abstract(&self, addr: &UnixAddr) -> io::Result<(UnixListener, Option<OwnFile>)> {
        if !self.owner.is_default() {
            let text = "an abstract name has no mode, user or group";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let socket = socket()?;
        socket.bind(&sock_addr(addr)?)?;
        socket.listen(self.queue())?;
        Ok((socket.into(), None))
    }

    fn queue(&self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}
