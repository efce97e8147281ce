//! Unix stream sockets: [`UnixListen`] and [`UnixDial`].

mod dial;
mod file;
mod listen;
mod options;

pub use self::{
    dial::{UnixDial, UnixDialError},
    listen::{UnixListen, UnixListenSocket},
    options::UnixListenOptions,
};

use std::{io, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use crate::{address::UnixAddr, conn::UnixPeer};

/// A socket that does not block, and has no name yet.
fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn sock_addr(addr: &UnixAddr) -> io::Result<SockAddr> {
    if addr.as_abstract_name().is_some() && !cfg!(any(target_os = "linux", target_os = "android")) {
        let text = "abstract names of Unix sockets are Linux's";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&addr.to_bytes())))
}

/// What the system knows of the other end.
fn peer(stream: &UnixStream, socket: &Arc<UnixAddr>) -> io::Result<UnixPeer> {
    let credentials = stream.peer_cred()?;
    Ok(UnixPeer {
        socket: Arc::clone(socket),
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid().and_then(|pid| pid.try_into().ok()),
    })
}
