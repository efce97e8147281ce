use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use super::Listen;
use crate::socket::SocketOptions;

/// A socket that listens, and belongs to no runtime yet: made by
/// [`bind_many`](super::ListenOptions::bind_many). Connections wait in the system's queue.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    socket: SocketOptions,
}

// ===== impl Bound =====

impl Bound {
    pub(super) fn new(listener: TcpListener, socket: SocketOptions) -> Self {
        Self { listener, socket }
    }

    /// The address it listens on, with the real port.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes its connections in on the current runtime.
    ///
    /// # Errors
    ///
    /// When the runtime can't watch the socket.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn listen(self) -> io::Result<Listen> {
        Listen::new(self.listener, self.socket)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use futures::{StreamExt, stream};

    use super::*;

    async fn two(addr: &str) -> Result<Vec<Bound>, crate::BindError> {
        let two = NonZeroUsize::new(2).expect("it is two");
        Listen::options().bind_many(addr, two).await
    }

    #[tokio::test]
    async fn each_gets_some_of_the_connections_and_all_are_served() {
        let bound = two("127.0.0.1:0").await.unwrap();
        let addr = bound[0].local_addr().unwrap();
        let listening = bound.into_iter().enumerate().map(|(number, bound)| {
            let listen = bound.listen().unwrap();
            assert_eq!(listen.local_addr(), addr);
            listen.map(move |conn| (number, conn.unwrap()))
        });
        let mut all = stream::select_all(listening);
        let mut served = [0; 2];
        for _ in 0..64 {
            let _client = tokio::net::TcpStream::connect(addr).await.unwrap();
            let (number, _conn) = all.next().await.unwrap();
            served[number] += 1;
        }
        assert!(served.iter().all(|count| *count > 0), "{served:?}");
    }

    #[tokio::test]
    async fn a_port_is_shared_with_nobody_else() {
        let bound = two("127.0.0.1:0").await.unwrap();
        let addr = bound[0].local_addr().unwrap().to_string();
        for error in [
            two(&addr).await.unwrap_err(),
            Listen::bind(&*addr).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
        drop(bound);
        let _alone = Listen::bind(&*addr).await.unwrap();
        assert_eq!(
            two(&addr).await.unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
