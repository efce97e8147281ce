//! [`Attempt`]: connects a socket to one address of a target.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use socket2::SockRef;

use crate::{
    address::DialAddr,
    conn::{Conn, Extensions, Origin},
    io::{TcpIo, tcp},
    socket::SocketOptions,
};

/// How a socket is made and connected.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    pub(super) source: Option<IpAddr>,
    pub(super) multipath: bool,
    options: SocketOptions,
    deferred: Option<Deferred>,
}

/// Options that are set late: see [`Dial::defer_options`](super::Dial::defer_options).
#[derive(Clone, Debug)]
struct Deferred {
    /// The system has taken them of a connection.
    are_taken: Arc<AtomicBool>,
    /// What a connection that lacks them is told: one for all of them, as it costs an allocation.
    extensions: Extensions,
}

// ===== impl Attempt =====

impl Attempt {
    pub(super) fn set_options(&mut self, options: SocketOptions) {
        self.options = options;
        if self.deferred.is_some() {
            self.defer_options();
        }
    }

    pub(super) fn defer_options(&mut self) {
        #[cfg(unix)]
        {
            self.deferred = Some(Deferred::new(self.options));
        }
    }

    /// Connects to this address of the target.
    pub(super) async fn connect(
        &self,
        peer: SocketAddr,
        target: &Arc<DialAddr>,
    ) -> io::Result<Conn<TcpIo>> {
        let socket = tcp::socket_for(peer, self.multipath)?;
        let deferred = self.deferred.as_ref();
        let late = deferred.filter(|deferred| deferred.are_taken.load(Ordering::Relaxed));
        match late {
            None => self.options.apply(&SockRef::from(&socket))?,
            Some(_) => self.options.apply_first(&SockRef::from(&socket))?,
        }
        if let Some(source) = self.source {
            #[cfg(target_os = "linux")]
            crate::sockopt::bind_address_no_port(&socket);
            let bound = socket.bind(&SocketAddr::new(source, 0).into());
            bound.map_err(|error| explain_local(error, Some(source)))?;
        }
        let connected = tcp::connect(socket, peer).await;
        let io = connected.map_err(|error| explain_local(error, None))?;
        let local = io.local_addr()?;
        if is_self(local, peer) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let mut conn = Conn::new(io, Origin::Dialled);
        conn.info.target = Some(Arc::clone(target));
        conn.info.peer = Some(peer);
        conn.info.local = Some(local);
        match (late, deferred) {
            (Some(late), _) => conn.info.extensions = late.extensions.clone(),
            (None, Some(deferred)) => deferred.are_taken.store(true, Ordering::Relaxed),
            (None, None) => {}
        }
        self.options.mark(&mut conn.info);
        Ok(conn)
    }
}

// ===== impl Deferred =====

#[cfg(unix)]
impl Deferred {
    fn new(options: SocketOptions) -> Self {
        let mut extensions = Extensions::new();
        extensions.insert(crate::io::DeferredOptions::new(options));
        Self {
            are_taken: Arc::default(),
            extensions,
        }
    }
}

/// If no program listens on a local port, and the kernel chooses that port for our own end, TCP
/// connects the socket to itself (the simultaneous open of RFC 9293, section 3.5). A program that
/// dials a local port until a server listens meets this sooner or later, and the server then finds
/// its port taken.
fn is_self(local: SocketAddr, peer: SocketAddr) -> bool {
    (local.ip(), local.port()) == (peer.ip(), peer.port())
}

/// Explains an error of the local address: this machine does not have the address, or no port is
/// free. The system's texts for both are those of a listener.
fn explain_local(error: io::Error, source: Option<IpAddr>) -> io::Error {
    let text = match (error.kind(), source) {
        (io::ErrorKind::AddrNotAvailable, Some(source)) => {
            format!("source {source} is not an address of this machine")
        }
        (io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse, _) => {
            format!(
                "no free local port: all of net.ipv4.ip_local_port_range are in use or in \
                 TIME_WAIT ({error})"
            )
        }
        _ => return error,
    };
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_socket_can_be_connected_to_itself() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let peer = socket.local_addr().unwrap();
        let io = socket.connect(peer).await.unwrap();
        assert!(is_self(io.local_addr().unwrap(), peer));
    }

    #[test]
    fn used_up_ports_are_named() {
        for kind in [io::ErrorKind::AddrInUse, io::ErrorKind::AddrNotAvailable] {
            let error = explain_local(kind.into(), None);
            assert_eq!(error.kind(), kind);
            assert!(
                error.to_string().starts_with("no free local port"),
                "{error}"
            );
        }
    }
}
