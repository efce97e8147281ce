//! Sockets between a virtual machine and its host: [`VsockListen`] and [`VsockDial`].

mod dial;
mod io;
mod listen;

pub use self::{
    dial::{VsockDial, VsockDialError},
    io::VsockIo,
    listen::{VsockListen, VsockListenSocket},
};

use std::io::{Error, ErrorKind, Result};

use socket2::{Domain, Socket, Type};

use crate::address::VsockAddr;

/// A socket that does not block, and has no address yet.
fn socket() -> Result<Socket> {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM.nonblocking(), None);
    socket.map_err(|error| {
        let text = format!("this system has no vsock (see modprobe vsock): {error}");
        Error::new(ErrorKind::Unsupported, text)
    })
}

/// Fails where this machine can't reach itself: the connection would go to the host.
fn check_local(addr: &VsockAddr) -> Result<()> {
    if addr.cid() != Some(VsockAddr::LOCAL) {
        return Ok(());
    }
    let any_port = VsockAddr::new(VsockAddr::LOCAL, u32::MAX);
    socket()?.bind(&any_port.sock_addr()).map_err(|error| {
        let text =
            format!("this machine does not reach itself (see modprobe vsock_loopback): {error}");
        Error::new(ErrorKind::Unsupported, text)
    })
}
