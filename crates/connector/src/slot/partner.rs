//! Dials a connection and leads it through its side's stack.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Info, Io, Side};
use pin_project::pin_project;
use thiserror::Error;
use tower::Service;

use super::deliver::{Deliveries, Expected};

/// Dials a connection and leads it through its side's stack, at whose end it is delivered.
#[derive(Clone, Debug)]
pub(crate) struct Partner<D, S> {
    dial: D,
    side: Side,
    stack: S,
    deliveries: Deliveries,
}

#[pin_project]
pub(crate) struct PartnerFuture<F, S: Service<Conn<BoxIo>>> {
    #[pin]
    state: State<F, S>,
    side: Side,
    deliveries: Deliveries,
}

/// ```text
/// Dialling ──connected──▶ Arriving ──the stack has answered──▶ delivered
/// ```
#[pin_project(project = StateProj)]
enum State<F, S: Service<Conn<BoxIo>>> {
    Dialling {
        #[pin]
        dialling: F,
        /// Ready.
        stack: S,
    },
    Arriving {
        #[pin]
        arriving: S::Future,
        expected: Expected,
    },
}

/// A side stack answered without having handed on its connection.
#[derive(Debug, Error)]
#[error(
    "side {0}'s stack answered but handed no connection on: a layer must call its inner service"
)]
struct NotDelivered(Side);

// ===== impl Partner =====

impl<D, S> Partner<D, S> {
    /// The stack's innermost service delivers to these deliveries.
    pub(crate) fn new(side: Side, dial: D, stack: S, deliveries: Deliveries) -> Self {
        Self {
            dial,
            side,
            stack,
            deliveries,
        }
    }
}

impl<D, S, J> Service<Info> for Partner<D, S>
where
    D: Service<Info, Response = Conn<J>>,
    D::Error: Into<BoxError> + 'static,
    D::Future: Send + 'static,
    J: Io,
    S: Service<Conn<BoxIo>, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = PartnerFuture<D::Future, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(self.dial.poll_ready(cx)).map_err(Into::into)?;
        self.stack.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, dialled_for: Info) -> Self::Future {
        let dialling = self.dial.call(dialled_for);
        // The ready one goes along; its clone has to become ready anew.
        let clone = self.stack.clone();
        let stack = std::mem::replace(&mut self.stack, clone);
        PartnerFuture {
            state: State::Dialling { dialling, stack },
            side: self.side,
            deliveries: self.deliveries.clone(),
        }
    }
}

// ===== impl PartnerFuture =====

impl<F, S, J, E> Future for PartnerFuture<F, S>
where
    F: Future<Output = Result<Conn<J>, E>>,
    E: Into<BoxError>,
    J: Io,
    S: Service<Conn<BoxIo>, Response = ()>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Conn<BoxIo>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Dialling { dialling, stack } => {
                    let conn = ready!(dialling.poll(cx)).map_err(Into::into)?;
                    let expected = this.deliveries.expect(conn.info.id);
                    let arriving = stack.call(conn.on(*this.side).boxed());
                    this.state.set(State::Arriving { arriving, expected });
                }
                StateProj::Arriving { arriving, expected } => {
                    ready!(arriving.poll(cx)).map_err(Into::into)?;
                    let delivered = expected.take();
                    return Poll::Ready(delivered.ok_or_else(|| NotDelivered(*this.side).into()));
                }
            }
        }
    }
}
