use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use socket2::{SockRef, Socket};

use super::{VsockIo, check_local, socket};
use crate::{
    accept_errors::AcceptErrors,
    address::VsockAddr,
    conn::{Conn, Origin, VsockPeer},
    endpoint::{Endpoint, LocalAddr},
    listen::{BindError, accept_retry::AcceptRetry},
    polled::Polled,
};

/// The connections that the system keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Listens on a port of vsock: the stream of the accepted connections, of virtual machines on this host, or of
/// the host and its other machines.
///
/// The stream is as that of [`Listen`](crate::Listen): it has no end, and outlives errors that pass.
/// [`Info::vsock`](crate::Info::vsock) holds the client's address; `peer` and `local` are `None`.
///
/// **vsock has no reset.** A connection that is aborted is closed, and its peer reads an end of stream, as of
/// one that has ended well. So a peer that has to tell a whole stream from one that was cut needs an end within
/// the stream: that of TLS, of a frame, of its own protocol.
#[derive(Debug)]
pub struct VsockListen {
    listener: Polled,
    addr: VsockAddr,
    retry: AcceptRetry,
}

/// A listening socket of vsock, to be taken over: [`VsockListen::socket`], [`VsockListen::adopt`].
#[derive(Debug)]
pub struct VsockListenSocket {
    listener: OwnedFd,
    addr: VsockAddr,
}

// ===== impl VsockListen =====

impl VsockListen {
    /// Listens on this port.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address: where the port is taken, and where the system has no vsock.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn bind(addr: VsockAddr) -> Result<Self, BindError> {
        let listening = Self::open(addr).and_then(Self::adopt);
        listening.map_err(|error| BindError::of(&addr, error))
    }

    /// Takes a socket over that listens already.
    ///
    /// # Errors
    ///
    /// Where the runtime can't wait for it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io enabled.
    pub fn adopt(socket: VsockListenSocket) -> io::Result<Self> {
        Ok(Self {
            listener: Polled::both_ways(socket.listener)?,
            addr: socket.addr,
            retry: AcceptRetry::default(),
        })
    }

    fn open(addr: VsockAddr) -> io::Result<VsockListenSocket> {
        check_local(&addr)?;
        let socket = socket()?;
        socket.bind(&addr.sock_addr())?;
        socket.listen(BACKLOG)?;
        // With the port that the system has chosen.
        let local = VsockAddr::of(&socket.local_addr()?);
        Ok(VsockListenSocket {
            listener: socket.into(),
            addr: local.unwrap_or(addr),
        })
    }

    /// The address that it listens on, with the real port.
    pub const fn addr(&self) -> &VsockAddr {
        &self.addr
    }

    /// The socket, duplicated: it shares the accept queue, and keeps it when this listener is dropped.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    pub fn socket(&self) -> io::Result<VsockListenSocket> {
        Ok(VsockListenSocket {
            listener: self.listener.as_fd().try_clone_to_owned()?,
            addr: self.addr,
        })
    }
}

impl Stream for VsockListen {
    type Item = io::Result<Conn<VsockIo>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            listener,
            addr,
            retry,
        } = &mut *self;
        let accept = |cx: &mut Context<'_>| {
            let accepted = ready!(
                listener.poll_read_with(cx, |listener| { SockRef::from(listener).accept_raw() })
            )?;
            Poll::Ready(conn(accepted))
        };
        retry.poll(cx, addr, accept).map(Some)
    }
}

fn conn((socket, peer): (Socket, socket2::SockAddr)) -> io::Result<Conn<VsockIo>> {
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    let mut conn = Conn::new(VsockIo::new(socket)?, Origin::Accepted);
    if let Some(peer) = VsockAddr::of(&peer) {
        conn.info.extensions.insert(VsockPeer::new(peer));
    }
    Ok(conn)
}

impl Endpoint for VsockListen {
    type Io = VsockIo;
    type Error = io::Error;

    fn local_addr(&self) -> Option<LocalAddr> {
        Some(self.addr.into())
    }

    fn accept_errors(&self) -> Option<AcceptErrors> {
        Some(self.retry.errors.clone())
    }
}

// ===== impl VsockListenSocket =====

impl AsFd for VsockListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl VsockListenSocket {
    /// A socket that another program has opened, and listens.
    ///
    /// # Errors
    ///
    /// Where it is not a socket of vsock.
    pub fn of(listener: OwnedFd) -> io::Result<Self> {
        let socket = SockRef::from(&listener);
        socket.set_nonblocking(true)?;
        let other = || io::Error::new(io::ErrorKind::InvalidInput, "a socket that is not of vsock");
        let addr = VsockAddr::of(&socket.local_addr()?).ok_or_else(other)?;
        Ok(Self { listener, addr })
    }

    /// The same once more.
    ///
    /// # Errors
    ///
    /// Without descriptors (`EMFILE`).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            listener: self.listener.try_clone()?,
            addr: self.addr,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::{Chain, VsockDial};

    /// Where the system has no vsock at all, that is said; where it has, the port is taken once.
    #[tokio::test]
    async fn a_port_is_listened_on_once_or_the_error_says_why_not() {
        let any = VsockAddr::everywhere(0);
        match VsockListen::bind(any) {
            Ok(listen) => {
                let addr = *listen.addr();
                assert_ne!(addr.port(), 0);
                let taken = VsockListen::bind(addr).unwrap_err();
                let text = Chain(&taken).to_string();
                assert!(text.contains("port already in use"), "{text}");
                let mut again = VsockListen::adopt(listen.socket().unwrap()).unwrap();
                drop(listen);
                assert!(VsockListen::bind(addr).is_err(), "the duplicate listens");
                assert!(
                    futures::StreamExt::next(&mut again)
                        .now_or_never()
                        .is_none()
                );
            }
            Err(error) => {
                let text = Chain(&error).to_string();
                assert!(text.contains("this system has no vsock"), "{text}");
            }
        }
    }

    /// Nothing goes to the host in place of this machine.
    #[tokio::test]
    async fn a_machine_reaches_itself_or_the_error_says_why_not() {
        let bound = VsockListen::bind(VsockAddr::new(VsockAddr::LOCAL, 0));
        let dial = |port| VsockDial::new(VsockAddr::new(VsockAddr::LOCAL, port));
        match bound {
            Ok(mut listen) => {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};

                let dial = dial(listen.addr().port());
                let (dialled, accepted) =
                    tokio::join!(dial.connect(), futures::StreamExt::next(&mut listen));
                let (mut one, mut other) = (dialled.unwrap().io, accepted.unwrap().unwrap().io);
                one.write_all(b"question").await.unwrap();
                one.shutdown().await.unwrap();
                let mut heard = Vec::new();
                other.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, b"question");
                other.write_all(b"answer").await.unwrap();
                drop(other);
                heard.clear();
                one.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, b"answer");
            }
            Err(error) => {
                let text = Chain(&error).to_string();
                assert!(text.contains("modprobe vsock"), "{text}");
                let error = dial(9).connect().await.unwrap_err();
                let text = Chain(&error).to_string();
                assert!(text.contains("modprobe vsock"), "{text}");
                assert!(dial(9).check().is_err());
            }
        }
    }
}
