//! Sockets of UDP.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use couplet_endpoint::{BindError, Dial, ListenAddr};
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};

/// How many bytes the system may hold of packets that are not read yet, and of those that are not sent yet: a burst
/// of one stream's window must not be lost. The system may give less (net.core.rmem_max of Linux).
const BUFFER: usize = 2 * 1024 * 1024;

/// The sockets of an address: one, or those of a name.
pub(super) async fn listen(
    addr: &ListenAddr,
    reuse_port: bool,
) -> Result<Vec<UdpSocket>, BindError> {
    let port = addr.port();
    let found = match addr.host() {
        None => {
            return everywhere(port, reuse_port)
                .map_err(|error| BindError::of(&Shown(addr), error));
        }
        Some(host) => {
            Dial::new(couplet_endpoint::DialAddr::new(host.clone(), port))
                .look_up()
                .await
        }
    };
    let mut candidates =
        found.map_err(|error| BindError::of(&Shown(addr), io::Error::other(error)))?;
    // The same order as for TCP.
    candidates.sort_by_key(SocketAddr::is_ipv6);
    candidates.dedup();
    let (mut opened, mut failed) = (Vec::<UdpSocket>::new(), None);
    for mut candidate in candidates {
        let first = opened.first().map(UdpSocket::local_addr);
        if let Some(Ok(first)) = first {
            candidate.set_port(first.port());
        }
        match open(candidate, false, reuse_port) {
            Ok(socket) => opened.push(socket),
            // This machine has no such address: another of the name may be its own.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => failed = Some(error),
            Err(error) => return Err(BindError::of(&Shown(addr), error)),
        }
    }
    match (opened.is_empty(), failed) {
        (false, _) => Ok(opened),
        (true, failed) => {
            let error = failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
            Err(BindError::of(&Shown(addr), error))
        }
    }
}

fn everywhere(port: u16, reuse_port: bool) -> io::Result<Vec<UdpSocket>> {
    let both = open((Ipv6Addr::UNSPECIFIED, port).into(), true, reuse_port);
    let socket = match both {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => open((Ipv4Addr::UNSPECIFIED, port).into(), false, reuse_port)?,
        Ok(socket) => socket,
    };
    Ok(vec![socket])
}

/// As an address is written.
struct Shown<'a>(&'a ListenAddr);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "quic:{}", self.0)
    }
}

/// A socket to dial from.
pub(super) fn dial(local: SocketAddr) -> io::Result<UdpSocket> {
    open(local, false, false)
}

fn open(addr: SocketAddr, both_families: bool, reuse_port: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(!both_families)?;
    }
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
    if reuse_port {
        let text = "ports can't be shared on this system";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    // The system bounds it without an error.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Drives a socket, within the runtime of this call.
pub(super) fn drive(socket: UdpSocket, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        Arc::new(TokioRuntime),
    )
}
