//! Elsewhere than on Linux tokio's own sockets serve.

use std::{io, net::SocketAddr};

use tokio::net::TcpSocket;

pub(crate) use tokio::net::TcpListener;
pub use tokio::net::TcpStream as TcpIo;

/// Connects a socket that does not block.
pub(crate) async fn connect(socket: socket2::Socket, peer: SocketAddr) -> io::Result<TcpIo> {
    TcpSocket::from_std_stream(socket.into())
        .connect(peer)
        .await
}
