//! Where the types of a connector's stacks are forgotten: the innermost services of its side
//! stacks take any io, and what they hand on is boxed.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Info, Io, Replay, Side};
use couplet_pairing::Pair;
use futures::{TryFutureExt, future::MapErr};
use pin_project::pin_project;
use tower_service::Service;

/// The innermost service of a side stack: boxes the io, whatever the stack has made of it, and the
/// error.
#[derive(Clone, Debug)]
pub struct Seat<S>(pub(crate) S);

/// The innermost service of the stack of a side that is dialled for the other: the connection has
/// arrived, and is the stack's response.
#[derive(Clone, Copy, Debug)]
pub struct Arrival;

/// Dials a connection and leads it through its side's stack.
#[derive(Clone, Debug)]
pub struct Partner<D, S> {
    dial: D,
    side: Side,
    stack: S,
}

/// The future of a [`Partner`].
#[pin_project(project = PartnerProj)]
#[must_use = "futures do nothing unless polled"]
pub enum PartnerFuture<F, S: Service<Conn<BoxIo>>> {
    /// The connection is dialled.
    Dialling {
        /// The dial.
        #[pin]
        dialling: F,
        /// The side's stack, ready.
        stack: S,
        /// The side.
        side: Side,
    },
    /// It goes through its side's stack.
    Arriving {
        /// The stack's answer.
        #[pin]
        arriving: S::Future,
    },
}

// ===== impl Seat =====

impl<I, S> Service<Conn<I>> for Seat<S>
where
    I: Io,
    S: Service<Conn<BoxIo>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = MapErr<S::Future, fn(S::Error) -> BoxError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        self.0.call(conn.boxed()).map_err(Into::into)
    }
}

// ===== impl Arrival =====

impl<I: Io> Service<Conn<I>> for Arrival {
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Conn<BoxIo>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        std::future::ready(Ok(conn.boxed()))
    }
}

// ===== impl Partner =====

impl<D, S> Partner<D, S> {
    pub(crate) fn new(dial: D, side: Side, stack: S) -> Self {
        Self { dial, side, stack }
    }
}

impl<D, S, J> Service<Info> for Partner<D, S>
where
    D: Service<Info, Response = Conn<J>>,
    D::Error: Into<BoxError> + 'static,
    D::Future: Send + 'static,
    J: Io,
    S: Service<Conn<BoxIo>, Response = Conn<BoxIo>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
{
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = PartnerFuture<D::Future, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(self.dial.poll_ready(cx)).map_err(Into::into)?;
        self.stack.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, partner_of: Info) -> Self::Future {
        let dialling = self.dial.call(partner_of);
        // The ready one goes along; its clone has to become ready anew.
        let clone = self.stack.clone();
        let stack = std::mem::replace(&mut self.stack, clone);
        PartnerFuture::Dialling {
            dialling,
            stack,
            side: self.side,
        }
    }
}

impl<F, S, J, E> Future for PartnerFuture<F, S>
where
    F: Future<Output = Result<Conn<J>, E>>,
    E: Into<BoxError>,
    J: Io,
    S: Service<Conn<BoxIo>, Response = Conn<BoxIo>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Conn<BoxIo>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                PartnerProj::Dialling {
                    dialling,
                    stack,
                    side,
                } => {
                    let conn = ready!(dialling.poll(cx)).map_err(Into::into)?;
                    let arriving = stack.call(conn.on(*side).boxed());
                    self.set(Self::Arriving { arriving });
                }
                PartnerProj::Arriving { arriving } => {
                    return arriving.poll(cx).map_err(Into::into);
                }
            }
        }
    }
}

impl<F, S: Service<Conn<BoxIo>>> fmt::Debug for PartnerFuture<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialling { .. } => "PartnerFuture(Dialling)",
            Self::Arriving { .. } => "PartnerFuture(Arriving)",
        })
    }
}

/// A pair that came out of a rendezvous, without the wrapper where nothing came early.
pub(crate) fn unwrap_drained(pair: Pair<Replay<BoxIo>, Replay<BoxIo>>) -> Pair<BoxIo, BoxIo> {
    fn unwrap(io: Replay<BoxIo>) -> BoxIo {
        if io.ahead().is_empty() {
            io.into_parts().0
        } else {
            Box::new(io)
        }
    }
    pair.map_a(unwrap).map_b(unwrap)
}
