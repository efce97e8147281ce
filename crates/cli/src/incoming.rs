//! A side whose connections come by themselves: a listening one, or a pool of dialled connections
//! that wait to be joined.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_connector::endpoint::{self, BoxError, Conn, Listen, Pool, TcpIo};
use futures::{Stream, StreamExt};

use crate::dialler::Dialler;

#[derive(Debug)]
pub(crate) enum Incoming {
    Listen(Listen),
    Pool(Box<Pool<Dialler>>),
}

// ===== impl Incoming =====

impl Stream for Incoming {
    type Item = Result<Conn<TcpIo>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Listen(listen) => listen
                .poll_next_unpin(cx)
                .map(|next| next.map(|conn| conn.map_err(Into::into))),
            Self::Pool(pool) => pool
                .poll_next_unpin(cx)
                .map(|next| next.map(|conn| conn.map_err(Into::into))),
        }
    }
}

impl endpoint::Endpoint for Incoming {
    type Io = TcpIo;
    type Error = BoxError;

    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Listen(listen) => Some(listen.local_addr()),
            Self::Pool(_) => None,
        }
    }
}
