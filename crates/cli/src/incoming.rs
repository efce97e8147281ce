//! A side whose connections come by themselves: a listening one, or a pool of dialled connections
//! that wait to be joined.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_connector::endpoint::{
    self, AcceptErrors, BoxError, Conn, Listen, LocalAddr, Pool, PoolEach, handoff,
};
#[cfg(unix)]
use couplet_connector::endpoint::{UnixListen, UnixListenSocket};
#[cfg(target_os = "linux")]
use couplet_connector::endpoint::{VsockListen, VsockListenSocket};
#[cfg(feature = "quic")]
use couplet_protocols::quic::QuicListen;
use futures::StreamExt;

#[cfg(target_os = "linux")]
use crate::while_up::WhileUp;
use crate::{dialler::Dialler, hand_over::PLACES, stream::Stream};

#[derive(Debug)]
pub(crate) enum Incoming {
    Listen(Listen),
    /// While a target of the other side is up.
    #[cfg(target_os = "linux")]
    WhileUp(Box<WhileUp>),
    #[cfg(unix)]
    Unix(UnixListen),
    #[cfg(target_os = "linux")]
    Vsock(VsockListen),
    #[cfg(feature = "quic")]
    Quic(QuicListen),
    Routes(RoutesListen),
    Pool(Box<Pool<Dialler>>),
    PoolEach(Box<PoolEach<Dialler>>),
    /// The streams of carriers.
    #[cfg(feature = "mux")]
    Mux(Box<crate::mux::CarriedListen<Self>>),
}

/// What other relays hand over by their routes.
#[derive(Clone, Debug)]
pub(crate) struct RoutesListen {
    pub(crate) from: handoff::HandOver,
    listen: handoff::Listen,
}

/// A listening socket that outlives the relay that accepts from it.
#[derive(Debug)]
pub(crate) enum Kept {
    Tcp(Vec<std::net::TcpListener>),
    #[cfg(unix)]
    Unix(UnixListenSocket),
    #[cfg(target_os = "linux")]
    Vsock(VsockListenSocket),
    /// Not the socket alone: connections of QUIC live in the process.
    #[cfg(feature = "quic")]
    Quic(QuicListen),
    Routes(RoutesListen),
}

// ===== impl Kept =====

impl Kept {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(sockets) => {
                let sockets = sockets.iter().map(std::net::TcpListener::try_clone);
                Self::Tcp(sockets.collect::<Result<_, _>>()?)
            }
            #[cfg(unix)]
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
            #[cfg(target_os = "linux")]
            Self::Vsock(socket) => Self::Vsock(socket.try_clone()?),
            #[cfg(feature = "quic")]
            Self::Quic(listen) => Self::Quic(listen.clone()),
            Self::Routes(listen) => Self::Routes(listen.clone()),
        })
    }
}

// ===== impl RoutesListen =====

impl RoutesListen {
    pub(crate) fn new() -> Self {
        let (from, listen) = handoff::queue(PLACES);
        Self { from, listen }
    }
}

/// The next connection, of this kind of stream.
fn next<I, E: Into<BoxError>>(
    next: Poll<Option<Result<Conn<I>, E>>>,
    kind: fn(I) -> Stream,
) -> Poll<Option<Result<Conn<Stream>, BoxError>>> {
    next.map(|next| next.map(|conn| conn.map(|conn| conn.map_io(kind)).map_err(Into::into)))
}

// ===== impl Incoming =====

impl Incoming {
    /// Its listening socket, to be kept when it ends.
    pub(crate) fn kept(&self) -> io::Result<Option<Kept>> {
        match self {
            #[cfg(unix)]
            Self::Listen(listen) => Ok(Some(Kept::Tcp(listen.sockets()?))),
            #[cfg(not(unix))]
            Self::Listen(_) => Ok(None),
            #[cfg(target_os = "linux")]
            Self::WhileUp(listen) => Ok(Some(Kept::Tcp(listen.listen.sockets()?))),
            #[cfg(unix)]
            Self::Unix(listen) => Ok(Some(Kept::Unix(listen.socket()?))),
            #[cfg(target_os = "linux")]
            Self::Vsock(listen) => Ok(Some(Kept::Vsock(listen.socket()?))),
            #[cfg(feature = "quic")]
            Self::Quic(listen) => Ok(Some(Kept::Quic(listen.clone()))),
            Self::Routes(listen) => Ok(Some(Kept::Routes(listen.clone()))),
            Self::Pool(_) | Self::PoolEach(_) => Ok(None),
            #[cfg(feature = "mux")]
            Self::Mux(mux) => mux.get_ref().kept(),
        }
    }

    /// Where it listens.
    pub(crate) fn addrs(&self) -> Vec<LocalAddr> {
        match self {
            Self::Listen(listen) => listen.local_addrs().map(Into::into).collect(),
            #[cfg(target_os = "linux")]
            Self::WhileUp(listen) => listen.listen.local_addrs().map(Into::into).collect(),
            #[cfg(unix)]
            Self::Unix(listen) => vec![listen.addr().clone().into()],
            #[cfg(target_os = "linux")]
            Self::Vsock(listen) => vec![(*listen.addr()).into()],
            #[cfg(feature = "quic")]
            Self::Quic(listen) => listen.local_addrs().map(LocalAddr::Quic).collect(),
            Self::Routes(_) | Self::Pool(_) | Self::PoolEach(_) => Vec::new(),
            #[cfg(feature = "mux")]
            Self::Mux(mux) => mux.get_ref().addrs(),
        }
    }
}

impl futures::Stream for Incoming {
    type Item = Result<Conn<Stream>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Listen(listen) => next(listen.poll_next_unpin(cx), Stream::Tcp),
            #[cfg(target_os = "linux")]
            Self::WhileUp(listen) => next(listen.poll_next_unpin(cx), Stream::Tcp),
            #[cfg(unix)]
            Self::Unix(listen) => next(listen.poll_next_unpin(cx), Stream::Unix),
            #[cfg(target_os = "linux")]
            Self::Vsock(listen) => next(listen.poll_next_unpin(cx), Stream::Vsock),
            #[cfg(feature = "quic")]
            Self::Quic(listen) => next(listen.poll_next_unpin(cx), |io| Stream::Quic(Box::new(io))),
            Self::Routes(routes) => next(routes.listen.poll_next_unpin(cx), Stream::Boxed),
            Self::Pool(pool) => next(pool.poll_next_unpin(cx), std::convert::identity),
            Self::PoolEach(pools) => next(pools.poll_next_unpin(cx), std::convert::identity),
            #[cfg(feature = "mux")]
            Self::Mux(mux) => next(mux.poll_next_unpin(cx), |io| {
                Stream::Boxed(couplet_connector::endpoint::io::boxed(io))
            }),
        }
    }
}

impl endpoint::Endpoint for Incoming {
    type Io = Stream;
    type Error = BoxError;

    fn local_addr(&self) -> Option<LocalAddr> {
        match self {
            Self::Listen(listen) => Some(listen.local_addr().into()),
            #[cfg(target_os = "linux")]
            Self::WhileUp(listen) => endpoint::Endpoint::local_addr(&**listen),
            #[cfg(unix)]
            Self::Unix(listen) => Some(listen.addr().clone().into()),
            #[cfg(target_os = "linux")]
            Self::Vsock(listen) => Some((*listen.addr()).into()),
            #[cfg(feature = "quic")]
            Self::Quic(listen) => endpoint::Endpoint::local_addr(listen),
            Self::Routes(_) | Self::Pool(_) | Self::PoolEach(_) => None,
            #[cfg(feature = "mux")]
            Self::Mux(mux) => mux.local_addr(),
        }
    }

    fn accept_errors(&self) -> Option<AcceptErrors> {
        match self {
            Self::Listen(listen) => listen.accept_errors(),
            #[cfg(target_os = "linux")]
            Self::WhileUp(listen) => listen.accept_errors(),
            #[cfg(unix)]
            Self::Unix(listen) => listen.accept_errors(),
            #[cfg(target_os = "linux")]
            Self::Vsock(listen) => listen.accept_errors(),
            #[cfg(feature = "quic")]
            Self::Quic(_) => None,
            Self::Routes(_) | Self::Pool(_) | Self::PoolEach(_) => None,
            #[cfg(feature = "mux")]
            Self::Mux(mux) => mux.accept_errors(),
        }
    }
}
