//! Unix sockets, as [`TcpStream`]s: what is done with them is what any socket can do.

use std::{
    io::ErrorKind,
    net::TcpStream,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
};

use socket2::{Domain, SockRef};

use super::bounded;
use crate::until;

/// Listens on a path.
pub fn listen(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    bounded(&listener);
    listener
}

/// Connects.
#[track_caller]
pub fn connect(path: &Path) -> TcpStream {
    any(UnixStream::connect(path).unwrap())
}

/// Accepts.
#[track_caller]
pub fn accept(listener: &UnixListener) -> TcpStream {
    any(listener.accept().unwrap().0)
}

/// Waits until no program listens on this path, and the path is gone.
#[track_caller]
pub fn listens_no_more(path: &Path) {
    until(&format!("{} is gone", path.display()), || {
        (!path.exists()).then_some(())
    });
    let refused = UnixStream::connect(path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

/// Is it a Unix socket?
pub(super) fn is(stream: &TcpStream) -> bool {
    SockRef::from(stream)
        .local_addr()
        .is_ok_and(|address| address.domain() == Domain::UNIX)
}

fn any(stream: UnixStream) -> TcpStream {
    bounded(&stream);
    TcpStream::from(OwnedFd::from(stream))
}
