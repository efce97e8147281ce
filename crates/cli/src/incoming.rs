//! A side whose connections come by themselves: a listening one, or a pool of dialled connections
//! that wait to be joined.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(unix)]
use couplet_connector::endpoint::UnixListen;
use couplet_connector::endpoint::{self, BoxError, Conn, Listen, LocalAddr, Pool};
use futures::StreamExt;

use crate::{dialler::Dialler, stream::Stream};

#[derive(Debug)]
pub(crate) enum Incoming {
    Listen(Listen),
    #[cfg(unix)]
    Unix(UnixListen),
    Pool(Box<Pool<Dialler>>),
}

/// The next connection, of this kind of stream.
fn next<I, E: Into<BoxError>>(
    next: Poll<Option<Result<Conn<I>, E>>>,
    kind: fn(I) -> Stream,
) -> Poll<Option<Result<Conn<Stream>, BoxError>>> {
    next.map(|next| next.map(|conn| conn.map(|conn| conn.map_io(kind)).map_err(Into::into)))
}

// ===== impl Incoming =====

impl futures::Stream for Incoming {
    type Item = Result<Conn<Stream>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Listen(listen) => next(listen.poll_next_unpin(cx), Stream::Tcp),
            #[cfg(unix)]
            Self::Unix(listen) => next(listen.poll_next_unpin(cx), Stream::Unix),
            Self::Pool(pool) => next(pool.poll_next_unpin(cx), std::convert::identity),
        }
    }
}

impl endpoint::Endpoint for Incoming {
    type Io = Stream;
    type Error = BoxError;

    fn local_addr(&self) -> Option<LocalAddr> {
        match self {
            Self::Listen(listen) => Some(listen.local_addr().into()),
            #[cfg(unix)]
            Self::Unix(listen) => Some(listen.addr().clone().into()),
            Self::Pool(_) => None,
        }
    }
}
